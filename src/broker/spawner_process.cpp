// SPDX-License-Identifier: Apache-2.0
#include "broker/spawner_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/text.hpp"
#include "broker/confine.hpp"
#include "broker/opener.hpp"
#include "broker/parser.hpp"
#include "broker/protocol.hpp"
#include "broker/spawner.hpp"
#include "broker/worker.hpp"
#include "kernel/file.hpp"
#include "kernel/namespace.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::broker {

namespace {

enum OrderFd : std::size_t { session_fd, control_fd, ring_fd, wakeup_fd, opener_fd, first_counter_fd };

// The number that a pidfd stands for, in this process's pid namespace; 0 when it has ended.
pid_t pid_of(PidRef process) {
    const auto info = kernel::read_file(fmt::format("/proc/self/fdinfo/{}", process.get()));
    if (!info) return 0;
    for (const auto line : split(*info, '\n'))
        if (line.starts_with("Pid:")) return std::atoi(std::string(line.substr(4)).c_str());
    return 0;
}

class SpawnerProcess {
  public:
    explicit SpawnerProcess(UniqueFd daemon) : daemon_(std::move(daemon)) {}

    int run() {
        ::prctl(PR_SET_NAME, "bpfwarden-spawn");
        // Sockets that systemd handed to the daemon, and whatever else its starter left open.
        const auto own = static_cast<unsigned>(daemon_.get());
        if (own > 3) ::close_range(3, own - 1, 0);
        ::close_range(own + 1, ~0U, 0);
        // Workers are reaped by the kernel: who they belong to watches them by pidfd.
        ::signal(SIGCHLD, SIG_IGN);
        // From a terminal these come to the whole group; the end of the daemon ends this process.
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_IGN);
        raise_file_limit();
        if (auto types = kernel::Btf::of_vmlinux())
            machine_.kernel_types = std::make_shared<const kernel::BtfIndex>(std::move(*types));
        if (auto root = CgroupRoot::find()) machine_.cgroups = std::move(*root);
        machine_.event_types = {event_type("kprobe"), event_type("uprobe")};
        // 1 and 2 of 3: then only a process's parents, or nobody without the capability.
        machine_.needs_ptrace = number_in("/proc/sys/kernel/yama/ptrace_scope") > 0;
        machine_.processors = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_CONF)));
        // The library reads its configuration at the first use, which a worker could not any more.
        (void)trust::sha256({});
        while (true) {
            auto message = receiver_.receive(daemon_);
            if (!message || !*message) return 0;
            answer_.clear();
            answer_fd_.reset();
            if (const auto done = serve(**message); !done) {
                answer_.clear();
                answer_fd_.reset();
                answer_.number(static_cast<std::uint8_t>(wire::Answer::failed));
                wire::write_error(answer_, done.error());
            }
            const int fd = answer_fd_.get();
            if (!wire::send(daemon_, as_type(Internal::reply), (*message)->id, answer_.bytes(),
                            {&fd, answer_fd_ ? 1U : 0U}))
                return 1;
        }
    }

  private:
    // Stand-ins take two fds each, and fds under way are counted against the limit as well.
    static void raise_file_limit() {
        rlimit limit{};
        if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }

    static std::uint32_t number_in(const std::string& path) {
        const auto text = kernel::read_file(path);
        return text ? static_cast<std::uint32_t>(std::strtoul(text->c_str(), nullptr, 10)) : 0;
    }
    static std::uint32_t event_type(std::string_view kind) {
        return number_in(fmt::format("/sys/bus/event_source/devices/{}/type", kind));
    }

    Result<> serve(wire::Message& message) {
        switch (static_cast<Internal>(message.type)) {
            case Internal::identify:
                return identify(message);
            case Internal::make_worker:
                return make_worker(message);
            case Internal::living_maps:
                return living_maps(message);
            case Internal::open_map:
                return open_map(message);
            default:
                return fail(Code::failed, "the spawner does not know this request");
        }
    }
    void done() { answer_.number(static_cast<std::uint8_t>(wire::Answer::done)); }

    Result<> identify(wire::Message& message) {
        if (message.fds.size() != 1) return fail(Code::failed, "a broken request");
        const PidFd process(message.fds.front().release());
        const pid_t pid = pid_of(process);
        const auto path = fmt::format("/proc/{}/exe", pid);
        char target[4096];
        const auto n = pid > 0 ? ::readlink(path.c_str(), target, sizeof target) : -1;
        // O_PATH opens nothing of the file system that it is on: one of the user's making cannot hold this process up.
        UniqueFd exe(n > 0 ? ::open(path.c_str(), O_PATH | O_CLOEXEC) : -1);
        if (!exe) return fail_errno("finding the opener's executable");
        // Still the same process: then the number was not given to another one in between.
        if (!kernel::is_alive(process)) return fail(Code::failed, "the opener has ended");
        done();
        answer_.text({target, static_cast<std::size_t>(n)});
        answer_fd_ = std::move(exe);
        return {};
    }

    static UniqueFd map_by_id(std::uint32_t id) {
        bpf_attr attr{};
        attr.map_id = id;
        return UniqueFd(static_cast<int>(::syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &attr, sizeof attr)));
    }

    Result<> open_map(wire::Message& message) {
        wire::Reader from(message.body);
        const auto id = from.number<std::uint32_t>();
        if (!from.done()) return fail(Code::failed, "a broken request");
        auto map = map_by_id(id);
        if (!map) return fail_errno("finding a map");
        done();
        answer_fd_ = std::move(map);
        return {};
    }

    Result<> living_maps(wire::Message& message) {
        wire::Reader from(message.body);
        std::vector<std::uint32_t> living;
        for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) {
            const auto id = from.number<std::uint32_t>();
            const auto map = map_by_id(id);
            if (map || errno != ENOENT) living.push_back(id);
        }
        if (!from.done()) return fail(Code::failed, "a broken request");
        done();
        answer_.number(static_cast<std::uint32_t>(living.size()));
        for (const auto id : living) answer_.number(id);
        return {};
    }

    // Into the opener's cgroup, if it may hold processes (a leaf): then what the worker allocates is charged there.
    static pid_t fork_into(FdRef cgroup, UniqueFd& process, bool& charged) {
        int pidfd = -1;
        clone_args args{};
        args.flags = CLONE_PIDFD;
        args.pidfd = reinterpret_cast<__u64>(&pidfd);
        args.exit_signal = SIGCHLD;
        long pid = -1;
        charged = cgroup.get() >= 0;
        if (charged) {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = static_cast<__u64>(cgroup.get());
            pid = ::syscall(SYS_clone3, &args, sizeof args);
        }
        if (pid < 0) {
            charged = false;
            args.flags = CLONE_PIDFD;
            args.cgroup = 0;
            pid = ::syscall(SYS_clone3, &args, sizeof args);
        }
        if (pid > 0) process = UniqueFd(pidfd);
        return static_cast<pid_t>(pid);
    }

    UniqueFd open_cgroup(const std::string& path) const {
        if (path.empty() || !machine_.cgroups || path.contains("..")) return {};
        return UniqueFd(::open((machine_.cgroups->mount + path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }

    Result<> make_worker(wire::Message& message) {
        wire::Reader from(message.body);
        WorkerOrder order;
        order.session_id = from.text();
        order.grant = from.text();
        order.revision = from.text();
        order.ends_at_ms = from.number<std::uint64_t>();
        order.cgroup = from.text();
        order.uid = from.number<std::uint32_t>();
        order.gid = from.number<std::uint32_t>();
        order.keep = from.number<std::uint8_t>() != 0;
        order.learns = from.number<std::uint8_t>() != 0;
        for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) order.grants.push_back(read_texts(from));
        for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) {
            auto name = from.text();
            order.signers.emplace(std::move(name), from.text());
        }
        if (!from.done() || order.grants.empty() || message.fds.size() != first_counter_fd + order.grants.size() + 1)
            return fail(Code::failed, "a broken request");
        const auto cgroup = open_cgroup(order.cgroup);
        // What went wrong in the child before it serves comes back over this.
        int report[2];
        if (::pipe2(report, O_CLOEXEC) != 0) return fail_errno("pipe2");
        UniqueFd read_end(report[0]), write_end(report[1]);
        UniqueFd process;
        bool charged = false;
        const pid_t pid = fork_into(cgroup, process, charged);
        if (pid < 0) return fail_errno("making a worker");
        if (pid == 0) ::_exit(be_worker(order, message.fds, std::move(write_end)));
        write_end.reset();
        char text[512];
        const auto n = ::read(read_end.get(), text, sizeof text);
        if (n != 0)
            return fail(Error(Code::failed, "a worker could not start")
                            .because(n > 0 ? std::string(text, static_cast<std::size_t>(n)) : "it ended at once"));
        done();
        answer_.number(static_cast<std::int32_t>(pid));
        answer_.number(static_cast<std::uint8_t>(charged));
        answer_fd_ = std::move(process);
        return {};
    }

    int be_worker(const WorkerOrder& order, std::vector<UniqueFd>& fds, UniqueFd report) {
        auto setup = prepare_worker(order, fds);
        if (!setup) {
            const auto text = setup.error().text("worker");
            (void)!::write(report.get(), text.data(), text.size());
            return 1;
        }
        report.reset();
        return run_worker(std::move(*setup), machine_);
    }

    Result<WorkerSetup> prepare_worker(const WorkerOrder& order, std::vector<UniqueFd>& fds) {
        // One that is kept ends with its control socket, which the service manager holds the other end of.
        if (!order.keep) BW_TRY(kernel::die_with_parent(parent_));
        ::prctl(PR_SET_NAME, "bpfwarden-work");
        ::signal(SIGCHLD, SIG_DFL);
        daemon_.reset();
        std::vector<grant::Resolved> grants;
        for (const auto& texts : order.grants) grants.push_back(BW_TRY(resolve(texts)));
        Rights rights(std::move(grants));
        // Interfaces are those of whoever opened the session. A process that has ended has none any more.
        BW_TRY_WITHIN(kernel::join_namespaces(PidRef(fds[opener_fd].get()), CLONE_NEWNET),
                      "entering the opener's network namespace");
        ParserEnds parser;
        if (needs_parser(rights) || order.learns) parser = BW_TRY(fork_parser(order.signers));
        UniqueFd opener;
        if (needs_opener(rights)) opener = BW_TRY(fork_opener(rights, std::move(parser.opener), order.learns));
        parser.opener.reset();
        std::vector<Ledger::Level> levels;
        // The grant's own counters, then those of each session; all of the first grant, then of the derived ones.
        for (std::size_t i = first_counter_fd; i < fds.size(); ++i)
            levels.push_back({BW_TRY(Counters::map(std::move(fds[i]))), nullptr});
        auto audit = BW_TRY(audit::RingProducer::attach(fds[ring_fd], std::move(fds[wakeup_fd])));
        WorkerSetup setup{.session_id = order.session_id,
                          .grant = order.grant,
                          .revision = order.revision,
                          .ends_at_ms = order.ends_at_ms,
                          .opener_uid = order.uid,
                          .learns = order.learns,
                          .waits_for_go = order.keep,
                          .session = std::move(fds[session_fd]),
                          .control = std::move(fds[control_fd]),
                          .opener = std::move(opener),
                          .parser = std::move(parser.worker),
                          .rights = std::move(rights),
                          .ledger = Ledger(std::move(levels)),
                          .audit = std::move(audit)};
        const auto& all = setup.rights.grants();
        setup.ledger.limit_by(all);
        fds.clear();
        BW_TRY(become_opener(order));
        auto capabilities = setup.rights.capabilities();
        if (order.uid == 0 || machine_.needs_ptrace) capabilities |= kernel::CapabilityMask{1} << CAP_SYS_PTRACE;
        BW_TRY(confine_worker(capabilities));
        return setup;
    }

    // What the worker reads of a supervised program is what the opener may read of their own processes: the real user
    // counts for that, which it is while it does so, and otherwise not, as nobody but root is to signal it. Root's
    // processes have more capabilities than a grant gives, so for those it takes one more.
    Result<> become_opener(const WorkerOrder& order) const {
        if (::setgroups(0, nullptr) != 0) return fail_errno("setgroups");
        if (::setresgid(order.gid, order.gid, order.gid) != 0) return fail_errno("setresgid");
        if (::setresuid(0, order.uid, 0) != 0) return fail_errno("setresuid");
        // A change of the user clears it.
        if (!order.keep) BW_TRY(kernel::die_with_parent(parent_));
        return {};
    }

    static Result<> make_pair(UniqueFd& here, UniqueFd& there) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
        here = UniqueFd(ends[0]);
        there = UniqueFd(ends[1]);
        return {};
    }

    // Children of the worker's, before that gave up its privileges.
    Result<ParserEnds> fork_parser(const trust::SignerTexts& texts) {
        const auto signers = BW_TRY(trust::Signers::read(texts));
        ParserEnds here, there;
        BW_TRY(make_pair(here.worker, there.worker));
        BW_TRY(make_pair(here.opener, there.opener));
        const pid_t parent = ::getpid();
        const pid_t pid = ::fork();
        if (pid < 0) return fail_errno("fork");
        if (pid == 0) {
            ::prctl(PR_SET_NAME, "bpfwarden-parse");
            warm_up_parser();
            if (!kernel::die_with_parent(parent) || !confine_parser({there.worker.get(), there.opener.get()}))
                ::_exit(1);
            ::_exit(run_parser(there, signers));
        }
        return here;
    }

    Result<UniqueFd> fork_opener(const Rights& rights, UniqueFd parser, bool by_name) {
        UniqueFd here, there;
        BW_TRY(make_pair(here, there));
        const auto capabilities = BW_TRY(opener_capabilities(rights));
        const pid_t parent = ::getpid();
        const pid_t pid = ::fork();
        if (pid < 0) return fail_errno("fork");
        if (pid == 0) {
            here.reset();
            ::prctl(PR_SET_NAME, "bpfwarden-perf");
            auto files = EventFiles::open();
            if (!kernel::die_with_parent(parent) ||
                !confine_opener(capabilities,
                                {there.get(), parser.get(), files.tracefs.get(), files.event_source.get()}))
                ::_exit(1);
            ::_exit(run_opener(there, rights, std::move(files), Parser(std::move(parser)), by_name));
        }
        return here;
    }

    UniqueFd daemon_;
    const pid_t parent_ = ::getpid();
    Machine machine_;
    wire::Receiver receiver_;
    wire::Writer answer_;
    UniqueFd answer_fd_;
};

}  // namespace

int run_spawner(UniqueFd daemon) { return SpawnerProcess(std::move(daemon)).run(); }

}  // namespace bpfwarden::broker
