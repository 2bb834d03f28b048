# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Completions of bpfwarden(1) for bash. Made by `make man` from the command table: do not edit.

_bpfwarden_verbs() { # of the object $1
    case $1 in
    '') echo 'run grant filter policy guard session host audit' ;;
    audit) echo 'tail query stats' ;;
    filter) echo 'build check dump explain diff stats test run' ;;
    grant) echo 'check show explain diff list init learn digest reload revoke' ;;
    guard) echo 'seal protect release status update unseal' ;;
    host) echo 'check' ;;
    policy) echo 'check show explain diff identity apply confirm rollback status remove' ;;
    session) echo 'list show revoke metrics supervise attach' ;;
    esac
}

_bpfwarden_options() { # of the command "$1"
    case $1 in
    ' run') echo '--grant --user --via --map-root --verbose --net --token-path --into --unenforced --keep-fd --dry-run --json --help' ;;
    'grant check') echo '--root --json --help' ;;
    'grant show') echo '--root --json --help' ;;
    'grant explain') echo '--root --json --help' ;;
    'grant diff') echo '--root --json --help' ;;
    'grant list') echo '--root --json --help' ;;
    'grant init') echo '--template --name --user --output --dry-run --json --help' ;;
    'grant learn') echo '--output --name --user --map-root --json --help' ;;
    'grant digest') echo '--program --output --json --help' ;;
    'grant reload') echo '--json --help' ;;
    'grant revoke') echo '--dry-run --json --help' ;;
    'filter build') echo '--arch --kernel --bad-arch --map --cap --same-argument --enosys --optimize --for-kernel --effort --require-proof --output --json --help' ;;
    'filter check') echo '--arch --kernel --bad-arch --map --cap --same-argument --enosys --json --help' ;;
    'filter dump') echo '--arch --kernel --bad-arch --map --cap --same-argument --enosys --optimize --for-kernel --effort --require-proof --format --json --help' ;;
    'filter explain') echo '--arch --kernel --bad-arch --map --cap --same-argument --enosys --optimize --for-kernel --effort --require-proof --syscall --args --on --json --help' ;;
    'filter diff') echo '--arch --kernel --bad-arch --map --cap --same-argument --enosys --json --help' ;;
    'filter stats') echo '--arch --kernel --bad-arch --map --cap --same-argument --enosys --optimize --for-kernel --effort --require-proof --json --help' ;;
    'filter test') echo '--arch --kernel --bad-arch --map --cap --same-argument --enosys --optimize --for-kernel --effort --require-proof --json --help' ;;
    'filter run') echo '--arch --kernel --bad-arch --map --cap --same-argument --enosys --optimize --for-kernel --effort --require-proof --log --tsync --spec-allow --new-listener --json --help' ;;
    'policy check') echo '--json --help' ;;
    'policy show') echo '--json --help' ;;
    'policy explain') echo '--domain --open --write --append --op --path --type --identity --fsverity --ima --label --user-label --net --exec --cgroup --uid --gid --userns --capability --peer --json --help' ;;
    'policy diff') echo '--json --help' ;;
    'policy identity') echo '--json --help' ;;
    'policy apply') echo '--confirm-within --dry-run --json --help' ;;
    'policy confirm') echo '--json --help' ;;
    'policy rollback') echo '--json --help' ;;
    'policy status') echo '--json --help' ;;
    'policy remove') echo '--json --help' ;;
    'guard seal') echo '--updater --pin --mount --id --json --help' ;;
    'guard protect') echo '--pin --mount --id --json --help' ;;
    'guard release') echo '--pin --mount --id --json --help' ;;
    'guard status') echo '--json --help' ;;
    'guard update') echo '--json --help' ;;
    'guard unseal') echo '--json --help' ;;
    'session list') echo '--json --help' ;;
    'session show') echo '--json --help' ;;
    'session revoke') echo '--dry-run --json --help' ;;
    'session metrics') echo '--json --help' ;;
    'session supervise') echo '--grant --once --json --help' ;;
    'session attach') echo '--grant --no-preload --json --help' ;;
    'host check') echo '--require --json --help' ;;
    'audit tail') echo '--follow --lines --session --grant --verdict --domain --path --event --uid --operation --since --until --file --json --help' ;;
    'audit query') echo '--lines --strict --session --grant --verdict --domain --path --event --uid --operation --since --until --file --json --help' ;;
    'audit stats') echo '--session --grant --verdict --domain --path --event --uid --operation --since --until --file --json --help' ;;
    *) echo '--json --help --help-all --version' ;;
    esac
}

_bpfwarden_value() { # of the option $2 of the command "$1"; nothing: it takes none
    case "$1 $2" in
    ' run --grant') echo 'grant' ;;
    ' run --user') echo 'user' ;;
    ' run --via') echo 'word auto token intercept' ;;
    ' run --net') echo 'word private inherit' ;;
    ' run --token-path') echo 'directory' ;;
    ' run --into') echo 'process' ;;
    ' run --unenforced') echo 'list subject.user subject.group subject.uid subject.gid subject.cgroup subject.exe subject.exe_sha256 allow.program_types allow.map_types allow.attach_types allow.commands allow.helpers allow.kfuncs allow.capabilities allow.verifier targets.cgroups targets.interfaces targets.tracepoints targets.functions targets.uprobes targets.perf_events identity.sha256 identity.programs identity.signers limits.programs limits.maps limits.links limits.map_memory limits.instructions limits.loads_per_minute session.lifetime session.hand_out session.on_close session.not_revocable' ;;
    ' run --keep-fd') echo 'nothing' ;;
    'grant check --root') echo 'directory' ;;
    'grant show --root') echo 'directory' ;;
    'grant explain --root') echo 'directory' ;;
    'grant diff --root') echo 'directory' ;;
    'grant list --root') echo 'directory' ;;
    'grant init --template') echo 'word xdp tracing cgroup' ;;
    'grant init --name') echo 'nothing' ;;
    'grant init --user') echo 'user' ;;
    'grant init -o' | 'grant init --output') echo 'file' ;;
    'grant learn -o' | 'grant learn --output') echo 'file' ;;
    'grant learn --name') echo 'nothing' ;;
    'grant learn --user') echo 'user' ;;
    'grant digest --program') echo 'nothing' ;;
    'grant digest -o' | 'grant digest --output') echo 'file' ;;
    'filter build --arch') echo 'word x86_64 x32 i386 aarch64' ;;
    'filter build --kernel') echo 'nothing' ;;
    'filter build --bad-arch') echo 'nothing' ;;
    'filter build --map') echo 'nothing' ;;
    'filter build --cap') echo 'nothing' ;;
    'filter build --same-argument') echo 'word all any' ;;
    'filter build --enosys') echo 'word above unknown' ;;
    'filter build --optimize') echo 'nothing' ;;
    'filter build --for-kernel') echo 'nothing' ;;
    'filter build --effort') echo 'word quick normal high' ;;
    'filter build -o' | 'filter build --output') echo 'file' ;;
    'filter check --arch') echo 'word x86_64 x32 i386 aarch64' ;;
    'filter check --kernel') echo 'nothing' ;;
    'filter check --bad-arch') echo 'nothing' ;;
    'filter check --map') echo 'nothing' ;;
    'filter check --cap') echo 'nothing' ;;
    'filter check --same-argument') echo 'word all any' ;;
    'filter check --enosys') echo 'word above unknown' ;;
    'filter dump --arch') echo 'word x86_64 x32 i386 aarch64' ;;
    'filter dump --kernel') echo 'nothing' ;;
    'filter dump --bad-arch') echo 'nothing' ;;
    'filter dump --map') echo 'nothing' ;;
    'filter dump --cap') echo 'nothing' ;;
    'filter dump --same-argument') echo 'word all any' ;;
    'filter dump --enosys') echo 'word above unknown' ;;
    'filter dump --optimize') echo 'nothing' ;;
    'filter dump --for-kernel') echo 'nothing' ;;
    'filter dump --effort') echo 'word quick normal high' ;;
    'filter dump --format') echo 'word asm c json dot raw' ;;
    'filter explain --arch') echo 'word x86_64 x32 i386 aarch64' ;;
    'filter explain --kernel') echo 'nothing' ;;
    'filter explain --bad-arch') echo 'nothing' ;;
    'filter explain --map') echo 'nothing' ;;
    'filter explain --cap') echo 'nothing' ;;
    'filter explain --same-argument') echo 'word all any' ;;
    'filter explain --enosys') echo 'word above unknown' ;;
    'filter explain --optimize') echo 'nothing' ;;
    'filter explain --for-kernel') echo 'nothing' ;;
    'filter explain --effort') echo 'word quick normal high' ;;
    'filter explain --syscall') echo 'nothing' ;;
    'filter explain --args') echo 'nothing' ;;
    'filter explain --on') echo 'word x86_64 x32 i386 aarch64' ;;
    'filter diff --arch') echo 'word x86_64 x32 i386 aarch64' ;;
    'filter diff --kernel') echo 'nothing' ;;
    'filter diff --bad-arch') echo 'nothing' ;;
    'filter diff --map') echo 'nothing' ;;
    'filter diff --cap') echo 'nothing' ;;
    'filter diff --same-argument') echo 'word all any' ;;
    'filter diff --enosys') echo 'word above unknown' ;;
    'filter stats --arch') echo 'word x86_64 x32 i386 aarch64' ;;
    'filter stats --kernel') echo 'nothing' ;;
    'filter stats --bad-arch') echo 'nothing' ;;
    'filter stats --map') echo 'nothing' ;;
    'filter stats --cap') echo 'nothing' ;;
    'filter stats --same-argument') echo 'word all any' ;;
    'filter stats --enosys') echo 'word above unknown' ;;
    'filter stats --optimize') echo 'nothing' ;;
    'filter stats --for-kernel') echo 'nothing' ;;
    'filter stats --effort') echo 'word quick normal high' ;;
    'filter test --arch') echo 'word x86_64 x32 i386 aarch64' ;;
    'filter test --kernel') echo 'nothing' ;;
    'filter test --bad-arch') echo 'nothing' ;;
    'filter test --map') echo 'nothing' ;;
    'filter test --cap') echo 'nothing' ;;
    'filter test --same-argument') echo 'word all any' ;;
    'filter test --enosys') echo 'word above unknown' ;;
    'filter test --optimize') echo 'nothing' ;;
    'filter test --for-kernel') echo 'nothing' ;;
    'filter test --effort') echo 'word quick normal high' ;;
    'filter run --arch') echo 'word x86_64 x32 i386 aarch64' ;;
    'filter run --kernel') echo 'nothing' ;;
    'filter run --bad-arch') echo 'nothing' ;;
    'filter run --map') echo 'nothing' ;;
    'filter run --cap') echo 'nothing' ;;
    'filter run --same-argument') echo 'word all any' ;;
    'filter run --enosys') echo 'word above unknown' ;;
    'filter run --optimize') echo 'nothing' ;;
    'filter run --for-kernel') echo 'nothing' ;;
    'filter run --effort') echo 'word quick normal high' ;;
    'filter run --new-listener') echo 'file' ;;
    'policy explain --domain') echo 'nothing' ;;
    'policy explain --open') echo 'file' ;;
    'policy explain --op') echo 'word read write append truncate create mkdir mknod symlink delete rename link chmod chown setxattr exec map_exec mount umount pivot_root chroot socket bind connect listen accept ptrace read_memory signal capable bpf perf module userns io_uring map_anon_exec' ;;
    'policy explain --path') echo 'file' ;;
    'policy explain --type') echo 'nothing' ;;
    'policy explain --identity') echo 'nothing' ;;
    'policy explain --fsverity') echo 'nothing' ;;
    'policy explain --ima') echo 'nothing' ;;
    'policy explain --label') echo 'nothing' ;;
    'policy explain --user-label') echo 'nothing' ;;
    'policy explain --net') echo 'nothing' ;;
    'policy explain --exec') echo 'file' ;;
    'policy explain --cgroup') echo 'file' ;;
    'policy explain --uid') echo 'nothing' ;;
    'policy explain --gid') echo 'nothing' ;;
    'policy explain --userns') echo 'word init other' ;;
    'policy explain --capability') echo 'word chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore' ;;
    'policy explain --peer') echo 'nothing' ;;
    'policy apply --confirm-within') echo 'nothing' ;;
    'guard seal --updater') echo 'nothing' ;;
    'guard seal --pin') echo 'file' ;;
    'guard seal --mount') echo 'file' ;;
    'guard seal --id') echo 'nothing' ;;
    'guard protect --pin') echo 'file' ;;
    'guard protect --mount') echo 'file' ;;
    'guard protect --id') echo 'nothing' ;;
    'guard release --pin') echo 'file' ;;
    'guard release --mount') echo 'file' ;;
    'guard release --id') echo 'nothing' ;;
    'session supervise --grant') echo 'nothing' ;;
    'session attach --grant') echo 'nothing' ;;
    'host check --require') echo 'list bpf mount_api openat2 token token_works token_info user_namespaces nobody_user_namespaces max_user_namespaces vmlinux_btf libbpf bpftool delegating_bpffs peer_pidfd pidfd_thread pidfd_getfd clone_into_cgroup cgroup2 cgroup_controllers cgroup_nsdelegate cgroup1 perf_event_paranoid pinnable_bpffs notifier notifier_addfd notifier_addfd_send notifier_wait_killable ptrace_scope seccomp_filter bpf_jit_enable bpf_jit_harden lsm_order bpf_lsm_built_in bpf_lsm_active bpf_lsm_works path_kfuncs xattr_kfuncs preempt_disable arena ima fsverity fsverity_kfunc bpf_wq cgroup_sysctl ftrace_enabled world_writable_bpffs pkcs7_kfunc trusted_keyring module_signing lockdown unprivileged_bpf_disabled selinux apparmor commands map_types program_types attach_types helpers program_types_load module_btf kernel_config' ;;
    'audit tail --lines') echo 'nothing' ;;
    'audit tail --session') echo 'nothing' ;;
    'audit tail --grant') echo 'nothing' ;;
    'audit tail --verdict') echo 'word allowed refused denied would_deny entered' ;;
    'audit tail --domain') echo 'nothing' ;;
    'audit tail --path') echo 'nothing' ;;
    'audit tail --event') echo 'nothing' ;;
    'audit tail --uid') echo 'nothing' ;;
    'audit tail --operation') echo 'nothing' ;;
    'audit tail --since') echo 'nothing' ;;
    'audit tail --until') echo 'nothing' ;;
    'audit tail --file') echo 'file' ;;
    'audit query --lines') echo 'nothing' ;;
    'audit query --session') echo 'nothing' ;;
    'audit query --grant') echo 'nothing' ;;
    'audit query --verdict') echo 'word allowed refused denied would_deny entered' ;;
    'audit query --domain') echo 'nothing' ;;
    'audit query --path') echo 'nothing' ;;
    'audit query --event') echo 'nothing' ;;
    'audit query --uid') echo 'nothing' ;;
    'audit query --operation') echo 'nothing' ;;
    'audit query --since') echo 'nothing' ;;
    'audit query --until') echo 'nothing' ;;
    'audit query --file') echo 'file' ;;
    'audit stats --session') echo 'nothing' ;;
    'audit stats --grant') echo 'nothing' ;;
    'audit stats --verdict') echo 'word allowed refused denied would_deny entered' ;;
    'audit stats --domain') echo 'nothing' ;;
    'audit stats --path') echo 'nothing' ;;
    'audit stats --event') echo 'nothing' ;;
    'audit stats --uid') echo 'nothing' ;;
    'audit stats --operation') echo 'nothing' ;;
    'audit stats --since') echo 'nothing' ;;
    'audit stats --until') echo 'nothing' ;;
    'audit stats --file') echo 'file' ;;
    esac
}

_bpfwarden_argument() { # number $2, from 0, of the command "$1"
    case "$1 $2" in
    ' run '*) echo 'command' ;;
    'grant check '*) echo 'grant' ;;
    'grant show '0) echo 'grant' ;;
    'grant explain '0) echo 'grant' ;;
    'grant explain '1) echo 'word map_create prog_load btf_load attach perf_event_open command helper kfunc' ;;
    'grant diff '0) echo 'grant' ;;
    'grant diff '1) echo 'grant' ;;
    'grant learn '*) echo 'command' ;;
    'grant digest '0) echo 'file' ;;
    'filter build '0) echo 'file' ;;
    'filter check '0) echo 'file' ;;
    'filter dump '0) echo 'file' ;;
    'filter explain '*) echo 'file' ;;
    'filter diff '0) echo 'file' ;;
    'filter stats '0) echo 'file' ;;
    'filter test '0) echo 'file' ;;
    'filter test '1) echo 'file' ;;
    'filter run '0) echo 'file' ;;
    'filter run '*) echo 'command' ;;
    'policy check '*) echo 'file' ;;
    'policy show '*) echo 'file' ;;
    'policy explain '*) echo 'file' ;;
    'policy diff '0) echo 'file' ;;
    'policy diff '1) echo 'file' ;;
    'policy identity '*) echo 'file' ;;
    'policy apply '*) echo 'file' ;;
    'session show '0) echo 'word bpf mount_api openat2 token token_works token_info user_namespaces nobody_user_namespaces max_user_namespaces vmlinux_btf libbpf bpftool delegating_bpffs peer_pidfd pidfd_thread pidfd_getfd clone_into_cgroup cgroup2 cgroup_controllers cgroup_nsdelegate cgroup1 perf_event_paranoid pinnable_bpffs notifier notifier_addfd notifier_addfd_send notifier_wait_killable ptrace_scope seccomp_filter bpf_jit_enable bpf_jit_harden lsm_order bpf_lsm_built_in bpf_lsm_active bpf_lsm_works path_kfuncs xattr_kfuncs preempt_disable arena ima fsverity fsverity_kfunc bpf_wq cgroup_sysctl ftrace_enabled world_writable_bpffs pkcs7_kfunc trusted_keyring module_signing lockdown unprivileged_bpf_disabled selinux apparmor commands map_types program_types attach_types helpers program_types_load module_btf kernel_config' ;;
    'session revoke '0) echo 'word bpf mount_api openat2 token token_works token_info user_namespaces nobody_user_namespaces max_user_namespaces vmlinux_btf libbpf bpftool delegating_bpffs peer_pidfd pidfd_thread pidfd_getfd clone_into_cgroup cgroup2 cgroup_controllers cgroup_nsdelegate cgroup1 perf_event_paranoid pinnable_bpffs notifier notifier_addfd notifier_addfd_send notifier_wait_killable ptrace_scope seccomp_filter bpf_jit_enable bpf_jit_harden lsm_order bpf_lsm_built_in bpf_lsm_active bpf_lsm_works path_kfuncs xattr_kfuncs preempt_disable arena ima fsverity fsverity_kfunc bpf_wq cgroup_sysctl ftrace_enabled world_writable_bpffs pkcs7_kfunc trusted_keyring module_signing lockdown unprivileged_bpf_disabled selinux apparmor commands map_types program_types attach_types helpers program_types_load module_btf kernel_config' ;;
    'session attach '*) echo 'command' ;;
    'host check '*) echo 'word bpf mount_api openat2 token token_works token_info user_namespaces nobody_user_namespaces max_user_namespaces vmlinux_btf libbpf bpftool delegating_bpffs peer_pidfd pidfd_thread pidfd_getfd clone_into_cgroup cgroup2 cgroup_controllers cgroup_nsdelegate cgroup1 perf_event_paranoid pinnable_bpffs notifier notifier_addfd notifier_addfd_send notifier_wait_killable ptrace_scope seccomp_filter bpf_jit_enable bpf_jit_harden lsm_order bpf_lsm_built_in bpf_lsm_active bpf_lsm_works path_kfuncs xattr_kfuncs preempt_disable arena ima fsverity fsverity_kfunc bpf_wq cgroup_sysctl ftrace_enabled world_writable_bpffs pkcs7_kfunc trusted_keyring module_signing lockdown unprivileged_bpf_disabled selinux apparmor commands map_types program_types attach_types helpers program_types_load module_btf kernel_config' ;;
    esac
}

# Words of a fixed list, one of them or (with a comma) several.
_bpfwarden_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_bpfwarden_list() {
    local before=''
    [[ $cur == *,* ]] && before=${cur%,*},
    mapfile -t COMPREPLY < <(compgen -P "$before" -W "$1" -- "${cur##*,}")
}

_bpfwarden_paths() { # -f or -d
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

# A grant: a file, or the name of an installed one.
_bpfwarden_grants() {
    local file names=''
    for file in /etc/bpfwarden/grants.d/*.toml /usr/lib/bpfwarden/grants.d/*.toml; do
        [[ -e $file ]] || continue
        file=${file##*/}
        names+=" ${file%.toml}"
    done
    _bpfwarden_paths -f
    local files=("${COMPREPLY[@]}")
    _bpfwarden_words "$names"
    COMPREPLY+=("${files[@]}")
}

# One of the kinds that _bpfwarden_value and _bpfwarden_argument print, then its words.
_bpfwarden_offer() {
    case $1 in
    word) _bpfwarden_words "${*:2}" ;;
    list) _bpfwarden_list "${*:2}" ;;
    grant) _bpfwarden_grants ;;
    file) _bpfwarden_paths -f ;;
    directory) _bpfwarden_paths -d ;;
    user) mapfile -t COMPREPLY < <(compgen -u -- "$cur") ;;
    process)
        local pid
        for pid in /proc/[0-9]*; do
            pid=${pid##*/}
            [[ $pid == "$cur"* ]] && COMPREPLY+=("$pid")
        done
        ;;
    esac
}

# Another program's command line, from word $1 on.
_bpfwarden_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
        _bpfwarden_paths -f
    fi
}

_bpfwarden() {
    local cur=${COMP_WORDS[COMP_CWORD]} object='' verb='' option='' i arguments=0 only_arguments=''
    COMPREPLY=()
    # "--grant=FILE" is three words to readline.
    [[ $cur == '=' ]] && cur=''
    for ((i = 1; i < COMP_CWORD; ++i)); do
        local word=${COMP_WORDS[i]}
        if [[ -n $option ]]; then
            [[ $word == '=' ]] && continue
            option=''
        elif [[ -z $verb ]]; then
            [[ $word == -* ]] && continue
            if [[ -z $object && -n $(_bpfwarden_verbs "$word") ]]; then object=$word; else verb=$word; fi
        elif [[ $word == -- ]]; then
            only_arguments=yes
        elif [[ -z $only_arguments && $word == -?* ]]; then
            [[ -n $(_bpfwarden_value "$object $verb" "$word") ]] && option=$word
        elif [[ $(_bpfwarden_argument "$object $verb" "$arguments") == command ]]; then
            _bpfwarden_command "$i"
            return
        else
            arguments=$((arguments + 1))
        fi
    done
    if [[ -n $option ]]; then
        # shellcheck disable=SC2046
        _bpfwarden_offer $(_bpfwarden_value "$object $verb" "$option")
    elif [[ -z $only_arguments && $cur == -* ]]; then
        _bpfwarden_words "$(_bpfwarden_options "$object $verb")"
    elif [[ -z $verb ]]; then
        _bpfwarden_words "$(_bpfwarden_verbs "$object")"
    elif [[ $(_bpfwarden_argument "$object $verb" "$arguments") == command ]]; then
        _bpfwarden_command "$COMP_CWORD"
    else
        # shellcheck disable=SC2046
        _bpfwarden_offer $(_bpfwarden_argument "$object $verb" "$arguments")
    fi
}

complete -F _bpfwarden bpfwarden
