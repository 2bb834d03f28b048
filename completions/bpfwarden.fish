# SPDX-License-Identifier: Apache-2.0
# Completions of bpfwarden(1) for fish. Made by `make man` from the command table: do not edit.

# The words so far that are no options, and whether they begin with, or are, those of a command.
function __bpfwarden_words
    string match -v -- '-*' (commandline -opc)[2..] | string join ' '
end
function __bpfwarden_at
    set -l words (__bpfwarden_words)
    string match -q -- "$argv *" "$words "
end
function __bpfwarden_is
    set -l words (__bpfwarden_words)
    test "$words" = "$argv"
end

# The names of installed grants.
function __bpfwarden_grants
    for file in /etc/bpfwarden/grants.d/*.toml /usr/lib/bpfwarden/grants.d/*.toml
        path change-extension '' (path basename $file)
    end
end

# The command that a verb is to start, and its arguments. Given: the verb, how many words of its own come before the command,
# and its options that have a value.
function __bpfwarden_command
    set -l words (commandline -opc)
    set -l own $argv[2]
    set -l rest
    set -l skip no
    for word in $words[(math (contains -i $argv[1] $words) + 1)..]
        if set -q rest[1]
            set -a rest (string escape -- $word)
        else if test $skip = yes
            set skip no
        else if contains -- $word $argv[3..]
            set skip yes
        else if string match -q -- '-*' $word
            continue
        else if test $own -gt 0
            set own (math $own - 1)
        else
            set -a rest (string escape -- $word)
        end
    end
    test $own -gt 0; or complete -C (string join -- ' ' $rest (commandline -ct))
end

complete -c bpfwarden -f
complete -c bpfwarden -l json -d 'print one JSON document on standard output'
complete -c bpfwarden -l help -d 'print help (also -h), after a command that command\'s, and exit'
complete -c bpfwarden -n __bpfwarden_is -l help-all -d 'print help on every command and exit'
complete -c bpfwarden -n __bpfwarden_is -l version -d 'print the version and exit'
complete -c bpfwarden -n '__bpfwarden_is' -a run -d 'run an unmodified BPF program without root, under a grant'
complete -c bpfwarden -n '__bpfwarden_is' -a audit -d 'what was decided, for whom and why'
complete -c bpfwarden -n '__bpfwarden_is audit' -a tail -d 'show the latest events, and those to come'
complete -c bpfwarden -n '__bpfwarden_is audit' -a query -d 'search the log, old files included'
complete -c bpfwarden -n '__bpfwarden_is audit' -a stats -d 'count events by verdict, grant, operation and key, and by domain and rule'
complete -c bpfwarden -n '__bpfwarden_is' -a filter -d 'seccomp filters: from C, eBPF or profiles to what any kernel takes'
complete -c bpfwarden -n '__bpfwarden_is filter' -a build -d 'make a classic BPF program of a filter'
complete -c bpfwarden -n '__bpfwarden_is filter' -a check -d 'say what is wrong with a filter'
complete -c bpfwarden -n '__bpfwarden_is filter' -a dump -d 'show a filter\'s program'
complete -c bpfwarden -n '__bpfwarden_is filter' -a explain -d 'show how one system call is decided'
complete -c bpfwarden -n '__bpfwarden_is filter' -a diff -d 'decide whether two filters are the same function'
complete -c bpfwarden -n '__bpfwarden_is filter' -a stats -d 'what a filter costs'
complete -c bpfwarden -n '__bpfwarden_is filter' -a test -d 'check a filter against a table of expectations'
complete -c bpfwarden -n '__bpfwarden_is filter' -a run -d 'run a command under a filter'
complete -c bpfwarden -n '__bpfwarden_is' -a grant -d 'what a user, a service or a container may do with BPF'
complete -c bpfwarden -n '__bpfwarden_is grant' -a check -d 'say whether grants are right, and what is wrong with them'
complete -c bpfwarden -n '__bpfwarden_is grant' -a show -d 'show everything that a grant allows, and who holds it to that'
complete -c bpfwarden -n '__bpfwarden_is grant' -a explain -d 'say whether a grant allows an operation, and which line decides'
complete -c bpfwarden -n '__bpfwarden_is grant' -a diff -d 'say what a new version of a grant widens and narrows'
complete -c bpfwarden -n '__bpfwarden_is grant' -a list -d 'list the installed grants'
complete -c bpfwarden -n '__bpfwarden_is grant' -a init -d 'write a first grant to start from'
complete -c bpfwarden -n '__bpfwarden_is grant' -a learn -d 'run a command and write the smallest grant that it needs'
complete -c bpfwarden -n '__bpfwarden_is grant' -a digest -d 'say what [identity] sees of the programs in a BPF object'
complete -c bpfwarden -n '__bpfwarden_is grant' -a reload -d 'make the daemon read the installed grants again'
complete -c bpfwarden -n '__bpfwarden_is grant' -a revoke -d 'end all sessions of a grant, and open no more'
complete -c bpfwarden -n '__bpfwarden_is' -a guard -d 'what root cannot take away: policies, and programs of others'
complete -c bpfwarden -n '__bpfwarden_is guard' -a seal -d 'seal the policy in force, and what else is named: root cannot take it away'
complete -c bpfwarden -n '__bpfwarden_is guard' -a protect -d 'seal more: pinned programs, maps and links of others'
complete -c bpfwarden -n '__bpfwarden_is guard' -a release -d 'end the protection of what was named to protect or seal'
complete -c bpfwarden -n '__bpfwarden_is guard' -a status -d 'say what is sealed, by what it is held, which ways to end it are closed, and what was refused just now'
complete -c bpfwarden -n '__bpfwarden_is guard' -a update -d 'put this version\'s programs in the place of those that are sealed'
complete -c bpfwarden -n '__bpfwarden_is guard' -a unseal -d 'end the seal; the policy stays in force'
complete -c bpfwarden -n '__bpfwarden_is' -a host -d 'what this machine offers'
complete -c bpfwarden -n '__bpfwarden_is host' -a check -d 'say what this machine offers, and how that was found out'
complete -c bpfwarden -n '__bpfwarden_is' -a policy -d 'what processes may do: access control in BPF LSM'
complete -c bpfwarden -n '__bpfwarden_is policy' -a check -d 'say whether policies are right, and what is wrong with them'
complete -c bpfwarden -n '__bpfwarden_is policy' -a show -d 'show the domains of policies, who enters them, and what the kernel is given'
complete -c bpfwarden -n '__bpfwarden_is policy' -a explain -d 'say how policies decide an operation, and which rule does'
complete -c bpfwarden -n '__bpfwarden_is policy' -a diff -d 'say what a new version of a policy decides differently'
complete -c bpfwarden -n '__bpfwarden_is policy' -a identity -d 'print what a policy can know files by'
complete -c bpfwarden -n '__bpfwarden_is policy' -a apply -d 'put policies in force'
complete -c bpfwarden -n '__bpfwarden_is policy' -a confirm -d 'keep what was applied with --confirm-within'
complete -c bpfwarden -n '__bpfwarden_is policy' -a rollback -d 'put the set before in force again'
complete -c bpfwarden -n '__bpfwarden_is policy' -a status -d 'say which policies are in force, since when, by whom, and which rules decided'
complete -c bpfwarden -n '__bpfwarden_is policy' -a remove -d 'take the policies out of force, with their programs'
complete -c bpfwarden -n '__bpfwarden_is' -a session -d 'grants that are held open'
complete -c bpfwarden -n '__bpfwarden_is session' -a list -d 'the sessions that are open'
complete -c bpfwarden -n '__bpfwarden_is session' -a show -d 'all that is known of one session'
complete -c bpfwarden -n '__bpfwarden_is session' -a revoke -d 'end a session, and all that were derived from it'
complete -c bpfwarden -n '__bpfwarden_is session' -a metrics -d 'figures of the daemon, as OpenMetrics text'
complete -c bpfwarden -n '__bpfwarden_is session' -a supervise -d 'answer the system calls of containers, by a session of a grant'
complete -c bpfwarden -n '__bpfwarden_is session' -a attach -d 'run a command with a session of a grant'
complete -c bpfwarden -n '__bpfwarden_at run' -l grant -r -F -a '(__bpfwarden_grants)' -d 'the grant: a file, or the name of an installed one'
complete -c bpfwarden -n '__bpfwarden_at run' -l user -r -x -a '(__fish_complete_users)' -d 'who the command runs as (name or number)'
complete -c bpfwarden -n '__bpfwarden_at run' -l via -r -x -a 'auto token intercept' -d 'the way in: a kernel token, or its system calls answered by a session'
complete -c bpfwarden -n '__bpfwarden_at run' -l map-root -d 'intercept: show the command uid 0, in a user namespace of that one user'
complete -c bpfwarden -n '__bpfwarden_at run' -l verbose -d 'say which way in it is, and why'
complete -c bpfwarden -n '__bpfwarden_at run' -l net -r -x -a 'private inherit' -d 'token: a network namespace of its own (default), or the caller\'s'
complete -c bpfwarden -n '__bpfwarden_at run' -l token-path -r -x -a '(__fish_complete_directories)' -d 'mount the bpffs there and set LIBBPF_BPF_TOKEN_PATH'
complete -c bpfwarden -n '__bpfwarden_at run' -l into -r -x -a '(__fish_complete_pids)' -d 'give a running process\'s namespaces the bpffs instead'
complete -c bpfwarden -n '__bpfwarden_at run' -l unenforced -r -x -a '(__fish_complete_list , \'string split " " "subject.user subject.group subject.uid subject.gid subject.cgroup subject.exe subject.exe_sha256 allow.program_types allow.map_types allow.attach_types allow.commands allow.helpers allow.kfuncs allow.capabilities allow.verifier targets.cgroups targets.interfaces targets.tracepoints targets.functions targets.uprobes targets.perf_events identity.sha256 identity.programs identity.signers limits.programs limits.maps limits.links limits.map_memory limits.instructions limits.loads_per_minute session.lifetime session.hand_out session.on_close session.not_revocable"\')' -d 'run although nobody enforces these keys of the grant'
complete -c bpfwarden -n '__bpfwarden_at run' -l keep-fd -r -x -d 'leave this file descriptor open for the command'
complete -c bpfwarden -n '__bpfwarden_at run' -l dry-run -d 'say what would be done, and do nothing'
complete -c bpfwarden -n '__bpfwarden_at run' -x -a '(__bpfwarden_command run 0 --grant --user --via --net --token-path --into --unenforced --keep-fd)'
complete -c bpfwarden -n '__bpfwarden_at grant check' -l root -r -x -a '(__fish_complete_directories)' -d 'look for installed grants under DIR/etc and DIR/usr/lib'
complete -c bpfwarden -n '__bpfwarden_at grant check' -F -a '(__bpfwarden_grants)'
complete -c bpfwarden -n '__bpfwarden_at grant show' -l root -r -x -a '(__fish_complete_directories)' -d 'look for installed grants under DIR/etc and DIR/usr/lib'
complete -c bpfwarden -n '__bpfwarden_at grant show' -F -a '(__bpfwarden_grants)'
complete -c bpfwarden -n '__bpfwarden_at grant explain' -l root -r -x -a '(__fish_complete_directories)' -d 'look for installed grants under DIR/etc and DIR/usr/lib'
complete -c bpfwarden -n '__bpfwarden_at grant explain' -F -a '(__bpfwarden_grants)'
complete -c bpfwarden -n '__bpfwarden_at grant explain' -x -a 'map_create prog_load btf_load attach perf_event_open command helper kfunc'
complete -c bpfwarden -n '__bpfwarden_at grant diff' -l root -r -x -a '(__fish_complete_directories)' -d 'look for installed grants under DIR/etc and DIR/usr/lib'
complete -c bpfwarden -n '__bpfwarden_at grant diff' -F -a '(__bpfwarden_grants)'
complete -c bpfwarden -n '__bpfwarden_at grant diff' -F -a '(__bpfwarden_grants)'
complete -c bpfwarden -n '__bpfwarden_at grant list' -l root -r -x -a '(__fish_complete_directories)' -d 'look for installed grants under DIR/etc and DIR/usr/lib'
complete -c bpfwarden -n '__bpfwarden_at grant init' -l template -r -x -a 'xdp tracing cgroup' -d 'what kind of programs it is for'
complete -c bpfwarden -n '__bpfwarden_at grant init' -l name -r -x -d 'the name of the grant (default: the template\'s)'
complete -c bpfwarden -n '__bpfwarden_at grant init' -l user -r -x -a '(__fish_complete_users)' -d 'who may open it (default: root only)'
complete -c bpfwarden -n '__bpfwarden_at grant init' -s o -l output -r -F -d 'write to FILE, which must not exist'
complete -c bpfwarden -n '__bpfwarden_at grant init' -l dry-run -d 'with --output: say what would be written'
complete -c bpfwarden -n '__bpfwarden_at grant learn' -s o -l output -r -F -d 'write to FILE, which must not exist'
complete -c bpfwarden -n '__bpfwarden_at grant learn' -l name -r -x -d 'the name of the grant (default: the command\'s)'
complete -c bpfwarden -n '__bpfwarden_at grant learn' -l user -r -x -a '(__fish_complete_users)' -d 'who the command runs as, and the grant is for (default: root)'
complete -c bpfwarden -n '__bpfwarden_at grant learn' -l map-root -d 'show the command uid 0, in a user namespace of that one user'
complete -c bpfwarden -n '__bpfwarden_at grant learn' -x -a '(__bpfwarden_command learn 0 -o --output --name --user)'
complete -c bpfwarden -n '__bpfwarden_at grant digest' -l program -r -x -d 'this program only'
complete -c bpfwarden -n '__bpfwarden_at grant digest' -s o -l output -r -F -d 'write what is to be signed to FILE, which must not exist; for one program'
complete -c bpfwarden -n '__bpfwarden_at grant digest' -F
complete -c bpfwarden -n '__bpfwarden_at grant revoke' -l dry-run -d 'say how many sessions would end'
complete -c bpfwarden -n '__bpfwarden_at grant revoke' -x
complete -c bpfwarden -n '__bpfwarden_at filter build' -l arch -r -x -a 'x86_64 x32 i386 aarch64' -d 'x86_64, x32, i386 or aarch64 (default: those of this machine, or of the profile)'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l kernel -r -x -d 'whose table says which system calls there are (default: the newest known)'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l bad-arch -r -x -d 'what every other architecture gets (default: KILL_PROCESS, or what the program says)'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l map -r -x -d 'the numbers of a set that the source leaves open: TOML, `numbers = […]`'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l cap -r -x -d 'a profile is for a process with this capability'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l same-argument -r -x -a 'all any' -d 'what several conditions on one argument of a profile\'s rule mean (any: as runc)'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l enosys -r -x -a 'above unknown' -d 'a profile answers numbers that it has no rule for with ENOSYS: above its largest, as runc, or those that the kernel of --kernel lacks'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l optimize -r -x -d 'usual (default), uniform, or a file of how often calls are made: lines of NAME COUNT'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l for-kernel -r -x -d 'before 5.11 always allowed calls cost as well, and count'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l effort -r -x -a 'quick normal high' -d 'how long to search; counted in steps, so that the result is always the same'
complete -c bpfwarden -n '__bpfwarden_at filter build' -l require-proof -d 'fail if it is not proven that the program is the source\'s function'
complete -c bpfwarden -n '__bpfwarden_at filter build' -s o -l output -r -F -d 'where to write it (default: standard output)'
complete -c bpfwarden -n '__bpfwarden_at filter build' -F
complete -c bpfwarden -n '__bpfwarden_at filter check' -l arch -r -x -a 'x86_64 x32 i386 aarch64' -d 'x86_64, x32, i386 or aarch64 (default: those of this machine, or of the profile)'
complete -c bpfwarden -n '__bpfwarden_at filter check' -l kernel -r -x -d 'whose table says which system calls there are (default: the newest known)'
complete -c bpfwarden -n '__bpfwarden_at filter check' -l bad-arch -r -x -d 'what every other architecture gets (default: KILL_PROCESS, or what the program says)'
complete -c bpfwarden -n '__bpfwarden_at filter check' -l map -r -x -d 'the numbers of a set that the source leaves open: TOML, `numbers = […]`'
complete -c bpfwarden -n '__bpfwarden_at filter check' -l cap -r -x -d 'a profile is for a process with this capability'
complete -c bpfwarden -n '__bpfwarden_at filter check' -l same-argument -r -x -a 'all any' -d 'what several conditions on one argument of a profile\'s rule mean (any: as runc)'
complete -c bpfwarden -n '__bpfwarden_at filter check' -l enosys -r -x -a 'above unknown' -d 'a profile answers numbers that it has no rule for with ENOSYS: above its largest, as runc, or those that the kernel of --kernel lacks'
complete -c bpfwarden -n '__bpfwarden_at filter check' -F
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l arch -r -x -a 'x86_64 x32 i386 aarch64' -d 'x86_64, x32, i386 or aarch64 (default: those of this machine, or of the profile)'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l kernel -r -x -d 'whose table says which system calls there are (default: the newest known)'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l bad-arch -r -x -d 'what every other architecture gets (default: KILL_PROCESS, or what the program says)'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l map -r -x -d 'the numbers of a set that the source leaves open: TOML, `numbers = […]`'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l cap -r -x -d 'a profile is for a process with this capability'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l same-argument -r -x -a 'all any' -d 'what several conditions on one argument of a profile\'s rule mean (any: as runc)'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l enosys -r -x -a 'above unknown' -d 'a profile answers numbers that it has no rule for with ENOSYS: above its largest, as runc, or those that the kernel of --kernel lacks'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l optimize -r -x -d 'usual (default), uniform, or a file of how often calls are made: lines of NAME COUNT'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l for-kernel -r -x -d 'before 5.11 always allowed calls cost as well, and count'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l effort -r -x -a 'quick normal high' -d 'how long to search; counted in steps, so that the result is always the same'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l require-proof -d 'fail if it is not proven that the program is the source\'s function'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -l format -r -x -a 'asm c json dot raw' -d 'default: asm'
complete -c bpfwarden -n '__bpfwarden_at filter dump' -F
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l arch -r -x -a 'x86_64 x32 i386 aarch64' -d 'x86_64, x32, i386 or aarch64 (default: those of this machine, or of the profile)'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l kernel -r -x -d 'whose table says which system calls there are (default: the newest known)'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l bad-arch -r -x -d 'what every other architecture gets (default: KILL_PROCESS, or what the program says)'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l map -r -x -d 'the numbers of a set that the source leaves open: TOML, `numbers = […]`'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l cap -r -x -d 'a profile is for a process with this capability'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l same-argument -r -x -a 'all any' -d 'what several conditions on one argument of a profile\'s rule mean (any: as runc)'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l enosys -r -x -a 'above unknown' -d 'a profile answers numbers that it has no rule for with ENOSYS: above its largest, as runc, or those that the kernel of --kernel lacks'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l optimize -r -x -d 'usual (default), uniform, or a file of how often calls are made: lines of NAME COUNT'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l for-kernel -r -x -d 'before 5.11 always allowed calls cost as well, and count'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l effort -r -x -a 'quick normal high' -d 'how long to search; counted in steps, so that the result is always the same'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l require-proof -d 'fail if it is not proven that the program is the source\'s function'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l syscall -r -x -d 'by name or number'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l args -r -x -d 'its arguments (default: all 0)'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -l on -r -x -a 'x86_64 x32 i386 aarch64' -d 'which architecture\'s call (default: this machine\'s)'
complete -c bpfwarden -n '__bpfwarden_at filter explain' -F
complete -c bpfwarden -n '__bpfwarden_at filter diff' -l arch -r -x -a 'x86_64 x32 i386 aarch64' -d 'x86_64, x32, i386 or aarch64 (default: those of this machine, or of the profile)'
complete -c bpfwarden -n '__bpfwarden_at filter diff' -l kernel -r -x -d 'whose table says which system calls there are (default: the newest known)'
complete -c bpfwarden -n '__bpfwarden_at filter diff' -l bad-arch -r -x -d 'what every other architecture gets (default: KILL_PROCESS, or what the program says)'
complete -c bpfwarden -n '__bpfwarden_at filter diff' -l map -r -x -d 'the numbers of a set that the source leaves open: TOML, `numbers = […]`'
complete -c bpfwarden -n '__bpfwarden_at filter diff' -l cap -r -x -d 'a profile is for a process with this capability'
complete -c bpfwarden -n '__bpfwarden_at filter diff' -l same-argument -r -x -a 'all any' -d 'what several conditions on one argument of a profile\'s rule mean (any: as runc)'
complete -c bpfwarden -n '__bpfwarden_at filter diff' -l enosys -r -x -a 'above unknown' -d 'a profile answers numbers that it has no rule for with ENOSYS: above its largest, as runc, or those that the kernel of --kernel lacks'
complete -c bpfwarden -n '__bpfwarden_at filter diff' -F
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l arch -r -x -a 'x86_64 x32 i386 aarch64' -d 'x86_64, x32, i386 or aarch64 (default: those of this machine, or of the profile)'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l kernel -r -x -d 'whose table says which system calls there are (default: the newest known)'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l bad-arch -r -x -d 'what every other architecture gets (default: KILL_PROCESS, or what the program says)'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l map -r -x -d 'the numbers of a set that the source leaves open: TOML, `numbers = […]`'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l cap -r -x -d 'a profile is for a process with this capability'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l same-argument -r -x -a 'all any' -d 'what several conditions on one argument of a profile\'s rule mean (any: as runc)'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l enosys -r -x -a 'above unknown' -d 'a profile answers numbers that it has no rule for with ENOSYS: above its largest, as runc, or those that the kernel of --kernel lacks'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l optimize -r -x -d 'usual (default), uniform, or a file of how often calls are made: lines of NAME COUNT'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l for-kernel -r -x -d 'before 5.11 always allowed calls cost as well, and count'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l effort -r -x -a 'quick normal high' -d 'how long to search; counted in steps, so that the result is always the same'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -l require-proof -d 'fail if it is not proven that the program is the source\'s function'
complete -c bpfwarden -n '__bpfwarden_at filter stats' -F
complete -c bpfwarden -n '__bpfwarden_at filter test' -l arch -r -x -a 'x86_64 x32 i386 aarch64' -d 'x86_64, x32, i386 or aarch64 (default: those of this machine, or of the profile)'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l kernel -r -x -d 'whose table says which system calls there are (default: the newest known)'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l bad-arch -r -x -d 'what every other architecture gets (default: KILL_PROCESS, or what the program says)'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l map -r -x -d 'the numbers of a set that the source leaves open: TOML, `numbers = […]`'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l cap -r -x -d 'a profile is for a process with this capability'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l same-argument -r -x -a 'all any' -d 'what several conditions on one argument of a profile\'s rule mean (any: as runc)'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l enosys -r -x -a 'above unknown' -d 'a profile answers numbers that it has no rule for with ENOSYS: above its largest, as runc, or those that the kernel of --kernel lacks'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l optimize -r -x -d 'usual (default), uniform, or a file of how often calls are made: lines of NAME COUNT'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l for-kernel -r -x -d 'before 5.11 always allowed calls cost as well, and count'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l effort -r -x -a 'quick normal high' -d 'how long to search; counted in steps, so that the result is always the same'
complete -c bpfwarden -n '__bpfwarden_at filter test' -l require-proof -d 'fail if it is not proven that the program is the source\'s function'
complete -c bpfwarden -n '__bpfwarden_at filter test' -F
complete -c bpfwarden -n '__bpfwarden_at filter test' -F
complete -c bpfwarden -n '__bpfwarden_at filter run' -l arch -r -x -a 'x86_64 x32 i386 aarch64' -d 'x86_64, x32, i386 or aarch64 (default: those of this machine, or of the profile)'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l kernel -r -x -d 'whose table says which system calls there are (default: the newest known)'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l bad-arch -r -x -d 'what every other architecture gets (default: KILL_PROCESS, or what the program says)'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l map -r -x -d 'the numbers of a set that the source leaves open: TOML, `numbers = […]`'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l cap -r -x -d 'a profile is for a process with this capability'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l same-argument -r -x -a 'all any' -d 'what several conditions on one argument of a profile\'s rule mean (any: as runc)'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l enosys -r -x -a 'above unknown' -d 'a profile answers numbers that it has no rule for with ENOSYS: above its largest, as runc, or those that the kernel of --kernel lacks'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l optimize -r -x -d 'usual (default), uniform, or a file of how often calls are made: lines of NAME COUNT'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l for-kernel -r -x -d 'before 5.11 always allowed calls cost as well, and count'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l effort -r -x -a 'quick normal high' -d 'how long to search; counted in steps, so that the result is always the same'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l require-proof -d 'fail if it is not proven that the program is the source\'s function'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l log -d 'log every action but ALLOW (kernel.seccomp.actions_logged)'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l tsync -d 'for every thread; there is only one here'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l spec-allow -d 'without the mitigation of speculative store bypass (before 5.16)'
complete -c bpfwarden -n '__bpfwarden_at filter run' -l new-listener -r -F -d 'send the listener\'s file descriptor to this Unix socket'
complete -c bpfwarden -n '__bpfwarden_at filter run' -F
complete -c bpfwarden -n '__bpfwarden_at filter run' -x -a '(__bpfwarden_command run 1 --arch --kernel --bad-arch --map --cap --same-argument --enosys --optimize --for-kernel --effort --new-listener)'
complete -c bpfwarden -n '__bpfwarden_at policy check' -F
complete -c bpfwarden -n '__bpfwarden_at policy show' -F
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l domain -r -x -d 'the process\'s domain (default: the only one; for --exec unconfined)'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l open -r -F -d 'open this file, for reading unless --write or --append is there'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l write -d 'with --open: for writing'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l append -d 'with --open: for appending'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l op -r -x -a 'read write append truncate create mkdir mknod symlink delete rename link chmod chown setxattr exec map_exec mount umount pivot_root chroot socket bind connect listen accept ptrace read_memory signal capable bpf perf module userns io_uring map_anon_exec' -d 'an operation by its name in the language'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l path -r -F -d 'with --op: on this file'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l type -r -x -d 'the type of the file\'s file system, for rules with file_systems'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l identity -r -x -d 'what the file is, for rules with identities'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l fsverity -r -x -d 'with --exec: the file\'s digest by fs-verity'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l ima -r -x -d 'with --exec: the file\'s digest by IMA, "sha256:…"'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l label -r -x -d 'the file\'s attribute security.bpf.bpfwarden, for rules with labels'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l user-label -r -x -d 'the file\'s attribute user.bpfwarden'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l net -r -x -d 'with --op: 192.0.2.1:80, [2001:db8::1]:443, or a family alone: unix'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l exec -r -F -d 'execute this file: whether it may be, and in which domain it runs'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l cgroup -r -F -d 'with --exec: the process\'s control group (default: /)'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l uid -r -x -d 'with --exec: the process\'s real user id (default: 0)'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l gid -r -x -d 'with --exec: its real group id (default: 0)'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l userns -r -x -a 'init other' -d 'with --exec: its user namespace (default: init)'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l capability -r -x -a 'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore' -d 'use this capability'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -l peer -r -x -d 'with --op: on a process of this domain'
complete -c bpfwarden -n '__bpfwarden_at policy explain' -F
complete -c bpfwarden -n '__bpfwarden_at policy diff' -F
complete -c bpfwarden -n '__bpfwarden_at policy diff' -F
complete -c bpfwarden -n '__bpfwarden_at policy identity' -F
complete -c bpfwarden -n '__bpfwarden_at policy apply' -l confirm-within -r -x -d 'after TIME (60s, 5m) the set before comes back, unless `policy confirm` came first; the kernel does that, no process is needed. A set that was itself not confirmed yet is none to come back to: the one before it is'
complete -c bpfwarden -n '__bpfwarden_at policy apply' -l dry-run -d 'say what would be applied, and change nothing'
complete -c bpfwarden -n '__bpfwarden_at policy apply' -F
complete -c bpfwarden -n '__bpfwarden_at guard seal' -l updater -r -x -d 'who may change what is sealed: reboot-only (default), cap:mac_admin, or domain:NAME'
complete -c bpfwarden -n '__bpfwarden_at guard seal' -l pin -r -F -d 'a pin of somebody else\'s program, map or link: it, what it decides by, and its name'
complete -c bpfwarden -n '__bpfwarden_at guard seal' -l mount -r -F -d 'all of a bpffs: what is pinned there, its names, and that it is mounted'
complete -c bpfwarden -n '__bpfwarden_at guard seal' -l id -r -x -d 'an object without a name: prog:12, map:3, link:7'
complete -c bpfwarden -n '__bpfwarden_at guard protect' -l pin -r -F -d 'a pin of somebody else\'s program, map or link: it, what it decides by, and its name'
complete -c bpfwarden -n '__bpfwarden_at guard protect' -l mount -r -F -d 'all of a bpffs: what is pinned there, its names, and that it is mounted'
complete -c bpfwarden -n '__bpfwarden_at guard protect' -l id -r -x -d 'an object without a name: prog:12, map:3, link:7'
complete -c bpfwarden -n '__bpfwarden_at guard release' -l pin -r -F -d 'a pin of somebody else\'s program, map or link: it, what it decides by, and its name'
complete -c bpfwarden -n '__bpfwarden_at guard release' -l mount -r -F -d 'all of a bpffs: what is pinned there, its names, and that it is mounted'
complete -c bpfwarden -n '__bpfwarden_at guard release' -l id -r -x -d 'an object without a name: prog:12, map:3, link:7'
complete -c bpfwarden -n '__bpfwarden_at session show' -x -a 'bpf mount_api openat2 token token_works token_info user_namespaces nobody_user_namespaces max_user_namespaces vmlinux_btf libbpf bpftool delegating_bpffs peer_pidfd pidfd_thread pidfd_getfd clone_into_cgroup cgroup2 cgroup_controllers cgroup_nsdelegate cgroup1 perf_event_paranoid pinnable_bpffs notifier notifier_addfd notifier_addfd_send notifier_wait_killable ptrace_scope seccomp_filter bpf_jit_enable bpf_jit_harden lsm_order bpf_lsm_built_in bpf_lsm_active bpf_lsm_works path_kfuncs xattr_kfuncs preempt_disable arena ima fsverity fsverity_kfunc bpf_wq cgroup_sysctl ftrace_enabled world_writable_bpffs pkcs7_kfunc trusted_keyring module_signing lockdown unprivileged_bpf_disabled selinux apparmor commands map_types program_types attach_types helpers program_types_load module_btf kernel_config'
complete -c bpfwarden -n '__bpfwarden_at session revoke' -l dry-run -d 'say which sessions would end'
complete -c bpfwarden -n '__bpfwarden_at session revoke' -x -a 'bpf mount_api openat2 token token_works token_info user_namespaces nobody_user_namespaces max_user_namespaces vmlinux_btf libbpf bpftool delegating_bpffs peer_pidfd pidfd_thread pidfd_getfd clone_into_cgroup cgroup2 cgroup_controllers cgroup_nsdelegate cgroup1 perf_event_paranoid pinnable_bpffs notifier notifier_addfd notifier_addfd_send notifier_wait_killable ptrace_scope seccomp_filter bpf_jit_enable bpf_jit_harden lsm_order bpf_lsm_built_in bpf_lsm_active bpf_lsm_works path_kfuncs xattr_kfuncs preempt_disable arena ima fsverity fsverity_kfunc bpf_wq cgroup_sysctl ftrace_enabled world_writable_bpffs pkcs7_kfunc trusted_keyring module_signing lockdown unprivileged_bpf_disabled selinux apparmor commands map_types program_types attach_types helpers program_types_load module_btf kernel_config'
complete -c bpfwarden -n '__bpfwarden_at session supervise' -l grant -r -x -d 'the name of an installed grant, or a socket\'s path'
complete -c bpfwarden -n '__bpfwarden_at session supervise' -l once -d 'end after the first listener, when its last process has ended'
complete -c bpfwarden -n '__bpfwarden_at session supervise' -x
complete -c bpfwarden -n '__bpfwarden_at session attach' -l grant -r -x -d 'the name of an installed grant, or a socket\'s path'
complete -c bpfwarden -n '__bpfwarden_at session attach' -l no-preload -d 'only hand over the session: the program uses libbpfwarden itself'
complete -c bpfwarden -n '__bpfwarden_at session attach' -x -a '(__bpfwarden_command attach 0 --grant)'
complete -c bpfwarden -n '__bpfwarden_at host check' -l require -r -x -a '(__fish_complete_list , \'string split " " "bpf mount_api openat2 token token_works token_info user_namespaces nobody_user_namespaces max_user_namespaces vmlinux_btf libbpf bpftool delegating_bpffs peer_pidfd pidfd_thread pidfd_getfd clone_into_cgroup cgroup2 cgroup_controllers cgroup_nsdelegate cgroup1 perf_event_paranoid pinnable_bpffs notifier notifier_addfd notifier_addfd_send notifier_wait_killable ptrace_scope seccomp_filter bpf_jit_enable bpf_jit_harden lsm_order bpf_lsm_built_in bpf_lsm_active bpf_lsm_works path_kfuncs xattr_kfuncs preempt_disable arena ima fsverity fsverity_kfunc bpf_wq cgroup_sysctl ftrace_enabled world_writable_bpffs pkcs7_kfunc trusted_keyring module_signing lockdown unprivileged_bpf_disabled selinux apparmor commands map_types program_types attach_types helpers program_types_load module_btf kernel_config"\')' -d 'look at these too; exit 3 unless all are present'
complete -c bpfwarden -n '__bpfwarden_at host check' -x -a 'bpf mount_api openat2 token token_works token_info user_namespaces nobody_user_namespaces max_user_namespaces vmlinux_btf libbpf bpftool delegating_bpffs peer_pidfd pidfd_thread pidfd_getfd clone_into_cgroup cgroup2 cgroup_controllers cgroup_nsdelegate cgroup1 perf_event_paranoid pinnable_bpffs notifier notifier_addfd notifier_addfd_send notifier_wait_killable ptrace_scope seccomp_filter bpf_jit_enable bpf_jit_harden lsm_order bpf_lsm_built_in bpf_lsm_active bpf_lsm_works path_kfuncs xattr_kfuncs preempt_disable arena ima fsverity fsverity_kfunc bpf_wq cgroup_sysctl ftrace_enabled world_writable_bpffs pkcs7_kfunc trusted_keyring module_signing lockdown unprivileged_bpf_disabled selinux apparmor commands map_types program_types attach_types helpers program_types_load module_btf kernel_config'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l follow -d 'go on with events as they are written, until interrupted'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l lines -r -x -d 'how many of the latest to show (default: 10)'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l session -r -x -d 'only events of this session'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l grant -r -x -d 'only events under this grant'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l verdict -r -x -a 'allowed refused denied would_deny entered' -d 'only operations with this verdict (the last three: of policies)'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l domain -r -x -d 'only events of this policy domain'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l path -r -x -d 'only events of policies about a file with such a path: `/etc/**`'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l event -r -x -d 'only this kind of event: operation, policy, session_open, gap and so on'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l uid -r -x -d 'only what this user\'s processes did (opened the session, sent the request, or met a policy)'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l operation -r -x -d 'only operations like this: `map_create *`'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l since -r -x -d 'only events from then on: 2026-03-14T09:26:53Z, or how long ago: 10m'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l until -r -x -d 'only events until then'
complete -c bpfwarden -n '__bpfwarden_at audit tail' -l file -r -F -d 'the log to read, with FILE.1, FILE.2 and so on before it (default: audit.jsonl and policy.jsonl in /var/log/bpfwarden, as one)'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l lines -r -x -d 'only the latest N of what fits'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l strict -d 'exit 1 if anything is missing from the log'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l session -r -x -d 'only events of this session'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l grant -r -x -d 'only events under this grant'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l verdict -r -x -a 'allowed refused denied would_deny entered' -d 'only operations with this verdict (the last three: of policies)'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l domain -r -x -d 'only events of this policy domain'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l path -r -x -d 'only events of policies about a file with such a path: `/etc/**`'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l event -r -x -d 'only this kind of event: operation, policy, session_open, gap and so on'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l uid -r -x -d 'only what this user\'s processes did (opened the session, sent the request, or met a policy)'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l operation -r -x -d 'only operations like this: `map_create *`'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l since -r -x -d 'only events from then on: 2026-03-14T09:26:53Z, or how long ago: 10m'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l until -r -x -d 'only events until then'
complete -c bpfwarden -n '__bpfwarden_at audit query' -l file -r -F -d 'the log to read, with FILE.1, FILE.2 and so on before it (default: audit.jsonl and policy.jsonl in /var/log/bpfwarden, as one)'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l session -r -x -d 'only events of this session'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l grant -r -x -d 'only events under this grant'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l verdict -r -x -a 'allowed refused denied would_deny entered' -d 'only operations with this verdict (the last three: of policies)'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l domain -r -x -d 'only events of this policy domain'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l path -r -x -d 'only events of policies about a file with such a path: `/etc/**`'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l event -r -x -d 'only this kind of event: operation, policy, session_open, gap and so on'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l uid -r -x -d 'only what this user\'s processes did (opened the session, sent the request, or met a policy)'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l operation -r -x -d 'only operations like this: `map_create *`'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l since -r -x -d 'only events from then on: 2026-03-14T09:26:53Z, or how long ago: 10m'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l until -r -x -d 'only events until then'
complete -c bpfwarden -n '__bpfwarden_at audit stats' -l file -r -F -d 'the log to read, with FILE.1, FILE.2 and so on before it (default: audit.jsonl and policy.jsonl in /var/log/bpfwarden, as one)'
