// SPDX-License-Identifier: Apache-2.0
// bpfwardend: puts the pieces together and runs until it is told to stop.
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "audit/log.hpp"
#include "audit/sink_file.hpp"
#include "audit/sink_journal.hpp"
#include "broker/confine.hpp"
#include "broker/control_server.hpp"
#include "broker/grant_sockets.hpp"
#include "broker/sessions.hpp"

namespace bpfwarden {
namespace {

struct Options {
    broker::GrantSockets::Places places{broker::run_directory(), "/"};
    std::string audit = "/var/log/bpfwarden/audit.jsonl";
    bool journal = false;
    bool keep_sessions = false;
};

constexpr std::string_view usage =
    "usage: bpfwardend [--run DIR] [--root DIR] [--audit FILE] [--journal] [--keep-sessions]\n"
    "\n"
    "Opens the installed grants to those they name. See bpfwardend(8).\n"
    "\n"
    "  --run DIR        where its sockets are (default: $BPFWARDEN_RUN or /run/bpfwarden)\n"
    "  --root DIR       where etc/bpfwarden and usr/lib/bpfwarden are (default: /)\n"
    "  --audit FILE     the audit log (default: /var/log/bpfwarden/audit.jsonl)\n"
    "  --journal        to the journal as well\n"
    "  --keep-sessions  leave open sessions to the service manager, for the next bpfwardend\n";

Result<Options> parse(std::span<char*> argv) {
    Options options;
    for (std::size_t i = 1; i < argv.size(); ++i) {
        const std::string_view word = argv[i];
        std::string* value = word == "--run"     ? &options.places.run
                             : word == "--root"  ? &options.places.root
                             : word == "--audit" ? &options.audit
                                                 : nullptr;
        if (word == "--journal") {
            options.journal = true;
        } else if (word == "--keep-sessions") {
            options.keep_sessions = true;
        } else if (value != nullptr && i + 1 < argv.size()) {
            *value = argv[++i];
        } else {
            return fail(Error(Code::usage, fmt::format("{} is not an option, or lacks its value", word))
                            .advise("bpfwardend --help shows what there is"));
        }
    }
    return options;
}

Result<int> serve(const Options& options) {
    if (::geteuid() != 0)
        return fail(Error(Code::denied, "bpfwardend must be started as root")
                        .because("it makes processes that hold capabilities of BPF")
                        .advise("start it by systemd, or as root"));
    // An audit log that may not grow, and whoever read our standard error, are errors to tell of and no death.
    for (const int number : {SIGXFSZ, SIGPIPE}) ::signal(number, SIG_IGN);
    // First of all, while nothing of anybody's was read: the process that stays privileged.
    auto spawner = BW_TRY_WITHIN(broker::Spawner::start(), "starting the spawner");
    ::prctl(PR_SET_NAME, "bpfwardend");

    // Directories are for everybody to look into; what they hold has modes of its own.
    ::umask(022);
    std::error_code problem;
    std::filesystem::create_directories(options.places.run, problem);
    if (!problem) std::filesystem::create_directories(std::filesystem::path(options.audit).parent_path(), problem);
    if (problem) return fail_errno(problem.value(), "making the daemon's directories");
    ::chmod(options.places.run.c_str(), 0755);

    audit::Log log;
    log.add(BW_TRY_WITHIN(audit::FileSink::open({.path = options.audit}), "opening the audit log"));
    if (options.journal) log.add(std::make_unique<audit::JournalSink>());
    // What is made from here on is root's by its uid, and no capability is needed for it.
    BW_TRY_WITHIN(broker::confine_daemon(), "giving up privileges");

    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    auto loop = BW_TRY(broker::EventLoop::make());
    auto inherited = broker::FdStore::take_inherited();
    auto store = broker::FdStore::of_service_manager();
    if (!options.keep_sessions) {
        store.let_go(std::move(inherited.stored));
        store = {};
    } else if (!store.keeps()) {
        fmt::print(stderr, "bpfwardend: nobody keeps sessions (no NOTIFY_SOCKET): they end with this process\n");
    }
    broker::Sessions sessions(loop, spawner, log, std::move(store));
    if (options.keep_sessions) sessions.adopt(std::move(inherited.stored));
    broker::GrantSockets grants(loop, sessions, log, options.places);
    broker::ControlServer control(loop, sessions, grants, log);
    BW_TRY(control.listen(options.places.run + "/control", std::move(inherited.control)));
    // At the start what is valid is served: one mistake must not take every grant away until somebody sees it.
    for (const auto& left_out : BW_TRY(grants.load_valid()).problems)
        fmt::print(stderr, "bpfwardend: left out: {}\n", left_out);

    const auto stop = [&loop] { loop.stop(0); };
    const auto on_term = BW_TRY(loop.on_signal(SIGTERM, stop));
    const auto on_int = BW_TRY(loop.on_signal(SIGINT, stop));
    const auto on_hup = BW_TRY(loop.on_signal(SIGHUP, [&] {
        (void)log.reopen();
        if (const auto done = grants.reload(); !done)
            fmt::print(stderr, "{}\n", done.error().text("bpfwardend: reload"));
    }));
    // Without the spawner nothing works any more: whoever supervises this starts it anew.
    const auto on_spawner = BW_TRY(loop.on_readable(spawner.socket(), [&loop] { loop.stop(1); }));
    const auto flush = BW_TRY(loop.before_waiting([&log] { log.flush(); }));
    loop.keep_watchdog();
    log.append(audit::Event{.kind = "daemon_start"}.set("pid", ::getpid()));
    log.flush();
    ::sd_notifyf(0, "READY=1\nSTATUS=%zu sockets", grants.count());
    fmt::print(stderr, "bpfwardend: serving {} sockets in {}\n", grants.count(), options.places.run);
    const int status = BW_TRY(loop.run());
    ::sd_notify(0, "STOPPING=1");
    sessions.drain();
    log.append(audit::Event{.kind = "daemon_stop"}.set("pid", ::getpid()));
    log.flush();
    return status;
}

int main(std::span<char*> argv) {
    for (const char* word : argv.subspan(1))
        if (std::string_view(word) == "--help") return std::fputs(usage.data(), stdout) < 0;
    const auto options = parse(argv);
    const auto status = options ? serve(*options) : Result<int>(fail(options.error()));
    if (status) return *status;
    std::fprintf(stderr, "%s\n", status.error().text("bpfwardend").c_str());
    return static_cast<int>(status.error().code());
}

}  // namespace
}  // namespace bpfwarden

int main(int argc, char** argv) { return bpfwarden::main({argv, static_cast<std::size_t>(argc)}); }
