// SPDX-License-Identifier: Apache-2.0
// bpfwarden-guard: reads what the policy's programs tell, and keeps their names of file systems true. What they decide
// they decide without it: it can be killed at any time, and the next one goes on.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <stop_token>
#include <string_view>
#include <thread>

#include "audit/log.hpp"
#include "audit/sink_file.hpp"
#include "audit/sink_journal.hpp"
#include "base/text.hpp"
#include "broker/control.hpp"
#include "broker/event_loop.hpp"
#include "enforce/guard_lock.hpp"
#include "enforce/policy_apply.hpp"
#include "enforce/policy_events.hpp"
#include "enforce/policy_force.hpp"
#include "enforce/policy_record.hpp"
#include "enforce/tamper_events.hpp"
#include "kernel/own_memory.hpp"
#include "policy/compile.hpp"
#include "policy/load.hpp"

namespace bpfwarden {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string run = broker::run_directory();
    std::string policies = "/etc/bpfwarden/policies.d";
    std::string audit = audit::policy_log_path;
    bool journal = false;
    bool emergency = false;  // what cannot be put in force at the start ends the guard
};

// So that a unit can tell it from every other end.
constexpr int not_in_force = 8;

constexpr std::string_view usage =
    "usage: bpfwarden-guard [--run DIR] [--policies DIR] [--audit FILE] [--journal]\n"
    "                       [--on-boot-failure continue|emergency]\n"
    "\n"
    "Writes down what the policies in force refuse and tell. See bpfwarden-guard(8).\n"
    "\n"
    "  --run DIR        where its lock is (default: $BPFWARDEN_RUN or /run/bpfwarden)\n"
    "  --policies DIR   DIR/*.toml is put in force if nothing is (default: /etc/bpfwarden/policies.d)\n"
    "  --audit FILE     the log of policies (default: /var/log/bpfwarden/policy.jsonl)\n"
    "  --journal        to the journal as well\n"
    "  --on-boot-failure continue|emergency\n"
    "                   what to do if these cannot be put in force: go on (default), or end with status 8\n";

Result<Options> parse(std::span<char*> argv) {
    Options options;
    for (std::size_t i = 1; i < argv.size(); ++i) {
        const std::string_view word = argv[i];
        if (word == "--on-boot-failure" && i + 1 < argv.size()) {
            const std::string_view choice = argv[++i];
            if (choice != "continue" && choice != "emergency")
                return fail(Error(Code::usage, fmt::format("--on-boot-failure is no {}", quoted(choice)))
                                .because("it is continue or emergency"));
            options.emergency = choice == "emergency";
            continue;
        }
        std::string* value = word == "--run"        ? &options.run
                             : word == "--policies" ? &options.policies
                             : word == "--audit"    ? &options.audit
                                                    : nullptr;
        if (word == "--journal") {
            options.journal = true;
        } else if (value != nullptr && i + 1 < argv.size()) {
            *value = argv[++i];
        } else {
            return fail(Error(Code::usage, fmt::format("{} is not an option, or lacks its value", word))
                            .advise("bpfwarden-guard --help shows what there is"));
        }
    }
    return options;
}

void complain(const Error& error) { fmt::print(stderr, "{}\n", error.text("bpfwarden-guard")); }

std::uint64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// Verifying the programs can take a kernel longer than a watchdog waits, and killed then, the guard would begin anew
// and come no further. Says that it is there, for at most ten minutes.
class StillThere {
  public:
    StillThere()
        : thread_([](const std::stop_token& stop) {
              std::mutex mutex;
              std::condition_variable_any ends;
              std::unique_lock lock(mutex);
              for (int seconds = 0; seconds < 600; ++seconds) {
                  ::sd_notify(0, "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000");
                  if (ends.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; }) || stop.stop_requested())
                      return;
              }
          }) {}

  private:
    std::jthread thread_;
};

class Guard {
  public:
    Guard(broker::EventLoop& loop, audit::Log& log) : loop_(loop), log_(log) {}

    Result<> start(const std::string& policies) {
        // Before the first look at them: what is mounted from here on is noticed.
        mounts_ = UniqueFd(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
        if (!mounts_) return fail_errno("cannot open /proc/self/mountinfo");
        on_mounts_ = BW_TRY(loop_.on_urgent(mounts_, [this] { name_mounts(); }));
        // A change that is under way ends first: until then nobody can say what is in force.
        BW_TRY(look(enforce::PolicyForce::adopt()));
        if (generation_ == 0 && !shut_out_) {
            apply(policies);
            BW_TRY(look(enforce::PolicyForce::adopt()));
        }
        look_at_seal();
        return tick();
    }

    // What waits in the rings.
    void drain() {
        if (tampers_) tampers_->drain(log_);
        while (events_ && events_->drain(log_)) {
        }
    }

    std::uint32_t generation() const { return generation_; }
    // Whether there were policies for the start that are not in force now.
    bool refused() const { return refused_; }
    bool is_shut_out() const { return shut_out_; }

  private:
    // Once a second: a bpffs tells nobody that something was pinned or removed.
    Result<> tick() {
        timer_ = BW_TRY(loop_.at(monotonic_ns() + 1'000'000'000, [this] {
            if (const auto there = look(enforce::PolicyForce::try_adopt()); !there) complain(there.error());
            if (events_) events_->tell_losses(log_);
            look_at_seal();
            if (const auto next = tick(); !next) {
                complain(next.error());
                loop_.stop(1);
            }
        }));
        return {};
    }

    // The seal came after this process: it knows this process by its pid then. One that is older knows another guard,
    // and its ring is not for this one.
    void look_at_seal() {
        struct stat ring{};
        const auto path = fmt::format("{}/tampers", enforce::sealed_guard);
        if (::stat(path.c_str(), &ring) != 0) {
            on_tampers_ = {};
            tampers_.reset();
            return;
        }
        // Until the seal is complete nobody but who makes it gets anything of it.
        if (tampers_ || refused_ring_ == ring.st_ino || enforce::policy_pins() != enforce::sealed_policy) return;
        auto opened = enforce::TamperEvents::open();
        if (!opened) {
            refused_ring_ = ring.st_ino;
            if (!shut_out_) complain(opened.error());
            return;
        }
        tampers_ = std::move(*opened);
        if (auto watch = loop_.on_readable(tampers_->fd(), [this] { tampers_->drain(log_); }))
            on_tampers_ = std::move(*watch);
        else
            complain(watch.error());
    }

    // The policy was sealed before this process was there, for another. Told once: it stays so until the seal ends.
    bool is_shut_out(const Error& error) {
        if (error.code() != Code::denied || enforce::policy_pins() != enforce::sealed_policy) return false;
        if (!std::exchange(shut_out_, true))
            complain(Error(Code::denied, "the policy in force is sealed, and its events are not for this process")
                         .because("the seal is older than this process: what is refused, and what is tried against "
                                  "the seal, waits in the kernel as far as there is room")
                         .advise("bpfwarden guard status counts what was tried"));
        return true;
    }

    // Is another policy in force than before?
    Result<> look(Result<std::optional<enforce::PolicyForce>> adopted) {
        if (!adopted) {
            if (is_shut_out(adopted.error())) return {};
            if (adopted.error().code() != Code::not_found) return fail(std::move(adopted).error());
            let_go();
            return {};
        }
        if (!*adopted) return {};  // somebody changes it at the moment
        shut_out_ = false;
        auto& force = **adopted;
        struct stat ring{};
        if (::stat(fmt::format("{}/denials", enforce::policy_pins()).c_str(), &ring) != 0)
            return fail_errno("cannot find the ring of events");
        if (const auto pins = enforce::policy_pins(); !events_ || ring.st_ino != ring_) {
            // A seal has the same policy elsewhere.
            let_go(events_ && pins != pins_);
            pins_ = pins;
            events_ = BW_TRY(enforce::PolicyEvents::open());
            ring_ = ring.st_ino;
            const auto read = [this] { drain_some(); };
            on_denials_ = BW_TRY(loop_.on_readable(events_->fd(enforce::PolicyEvents::denials), read));
            on_others_ = BW_TRY(loop_.on_readable(events_->fd(enforce::PolicyEvents::others), read));
            BW_TRY(force.name_mounts());
        }
        const auto status = BW_TRY(force.status());
        if (status.generation != generation_) tell_of(status.generation);
        return {};
    }

    void tell_of(std::uint32_t generation) {
        generation_ = generation;
        audit::Event event{.kind = generation ? "policy_in_force" : "policy_removed", .fields = {}};
        if (generation) {
            const auto record = enforce::read_record(generation);
            event.set("generation", generation);
            if (!record.digest.empty())
                event.set("digest", record.digest).set("uid", record.uid).set("files", join(record.files, ", "));
        }
        log_.append(std::move(event));
        log_.flush();
        ::sd_notifyf(
            0, "STATUS=%s",
            generation ? fmt::format("generation {} is in force", generation).c_str() : "no policy is in force");
    }

    // The pins are gone; what waits in the rings is there for as long as they are open.
    void let_go(bool moved = false) {
        if (events_) {
            drain();
            events_->tell_losses(log_);
        }
        on_denials_ = {};
        on_others_ = {};
        events_.reset();
        if (generation_ && !moved) tell_of(0);
    }

    // Not all at once: under a flood the loop has other things to do as well.
    void drain_some() {
        for (int batches = 0; batches < 8 && events_ && events_->drain(log_); ++batches) {
        }
        if (events_) events_->tell_losses(log_);
    }

    void name_mounts() {
        // A storm of mounts costs one look at all of them every 50 ms.
        constexpr std::uint64_t pause = 50'000'000;
        again_ = {};
        const auto now = monotonic_ns();
        bool later = now - named_at_ < pause;
        if (!later) {
            auto adopted = enforce::PolicyForce::try_adopt();
            if (adopted && *adopted) {
                if (const auto named = (*adopted)->name_mounts(); !named) complain(named.error());
                named_at_ = monotonic_ns();
            } else if (adopted) {
                later = true;
            } else if (!is_shut_out(adopted.error()) && adopted.error().code() != Code::not_found) {
                complain(adopted.error());
            }
        }
        if (!later) return;
        if (auto timer = loop_.at(now + pause, [this] { name_mounts(); }))
            again_ = std::move(*timer);
        else
            complain(timer.error());
    }

    // At the start of the machine. What cannot be put in force is told of, and the rest of this process goes on.
    void apply(const std::string& directory) {
        std::error_code problem;
        std::vector<std::string> files;
        for (const auto& entry : fs::directory_iterator(directory, problem))
            if (entry.path().extension() == ".toml") files.push_back(entry.path());
        std::ranges::sort(files);
        const auto refused = [&](const Error& error) {
            refused_ = true;
            complain(error);
            log_.append(audit::Event{.kind = "policy_refused", .fields = {}}
                            .set("files", join(files, ", "))
                            .set("reason", error.why().empty() ? error.what() : error.why()));
            log_.flush();
        };
        if (problem && problem != std::errc::no_such_file_or_directory)
            return refused(Error::from_errno(problem.value(), fmt::format("cannot read {}", directory)));
        if (files.empty()) return;
        auto loaded = policy::load(files);
        if (!loaded) return refused(loaded.error());
        std::optional<policy::Compiled> compiled;
        if (loaded->diagnostics.ok()) compiled = policy::compile(loaded->policies, loaded->diagnostics);
        for (const auto& one : loaded->diagnostics.sorted()) fmt::print(stderr, "bpfwarden-guard: {}\n", one.text());
        if (!compiled)
            return refused(Error(Code::bad_input, fmt::format("the policies in {} are not valid", directory))
                               .advise(fmt::format("bpfwarden policy check {}/*.toml", directory)));
        auto force = enforce::PolicyForce::open();
        if (!force) return refused(force.error());
        // Somebody may have been faster.
        if (const auto now = force->status(); now && now->generation) return;
        const StillThere still_there;
        const auto applied = enforce::apply_policy(*force, std::move(*compiled), files);
        if (!applied) return refused(applied.error());
        if (applied->unwritten) complain(*applied->unwritten);
    }

    broker::EventLoop& loop_;
    audit::Log& log_;
    std::optional<enforce::PolicyEvents> events_;
    std::optional<enforce::TamperEvents> tampers_;
    ino_t refused_ring_ = 0;
    ino_t ring_ = 0;
    std::string pins_;
    std::uint32_t generation_ = 0;
    bool refused_ = false;
    bool shut_out_ = false;
    UniqueFd mounts_;
    std::uint64_t named_at_ = 0;
    broker::EventLoop::Watch on_denials_, on_others_, on_mounts_, on_tampers_, timer_, again_;
};

Result<int> serve(const Options& options) {
    if (::geteuid() != 0)
        return fail(Error(Code::denied, "bpfwarden-guard must be started as root")
                        .because("it reads the rings of BPF LSM programs")
                        .advise("start it by systemd, or as root"));
    for (const int number : {SIGXFSZ, SIGPIPE}) ::signal(number, SIG_IGN);
    // Under a seal it is given what is sealed: who can write to its libraries must not be it.
    if (const auto kept = kernel::keep_own_memory(); !kept) complain(kept.error());
    BW_TRY(kernel::refuse_new_code());
    ::umask(022);
    std::error_code problem;
    fs::create_directories(options.run, problem);
    if (!problem) fs::create_directories(fs::path(options.audit).parent_path(), problem);
    if (problem) return fail_errno(problem.value(), "making the daemon's directories");
    const auto lock = BW_TRY(enforce::take_guard_lock(options.run));

    audit::Log log;
    log.add(BW_TRY_WITHIN(audit::FileSink::open({.path = options.audit}), "opening the audit log"));
    if (options.journal) log.add(std::make_unique<audit::JournalSink>("bpfwarden-guard"));
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    auto loop = BW_TRY(broker::EventLoop::make());
    const auto stop = [&loop] { loop.stop(0); };
    const auto on_term = BW_TRY(loop.on_signal(SIGTERM, stop));
    const auto on_int = BW_TRY(loop.on_signal(SIGINT, stop));
    const auto on_hup = BW_TRY(loop.on_signal(SIGHUP, [&] {
        if (const auto done = log.reopen(); !done) complain(done.error());
    }));
    const auto flush = BW_TRY(loop.before_waiting([&log] { log.flush(); }));
    loop.keep_watchdog();
    log.append(
        audit::Event{.kind = "daemon_start", .fields = {}}.set("daemon", "bpfwarden-guard").set("pid", ::getpid()));
    Guard guard(loop, log);
    BW_TRY(guard.start(options.policies));
    guard.drain();
    log.flush();
    if (options.emergency && guard.refused()) {
        fmt::print(stderr,
                   "bpfwarden-guard: the policies of the start are not in force, and --on-boot-failure is emergency\n");
        return not_in_force;
    }
    ::sd_notify(0, "READY=1");
    if (guard.is_shut_out())
        fmt::print(stderr, "bpfwarden-guard: a sealed policy is in force\n");
    else if (guard.generation())
        fmt::print(stderr, "bpfwarden-guard: generation {} is in force\n", guard.generation());
    else
        fmt::print(stderr, "bpfwarden-guard: no policy is in force\n");
    const int status = BW_TRY(loop.run());
    ::sd_notify(0, "STOPPING=1");
    guard.drain();
    log.append(
        audit::Event{.kind = "daemon_stop", .fields = {}}.set("daemon", "bpfwarden-guard").set("pid", ::getpid()));
    log.flush();
    return status;
}

int main(std::span<char*> argv) {
    for (const char* word : argv.subspan(1))
        if (std::string_view(word) == "--help") return std::fputs(usage.data(), stdout) < 0;
    const auto options = parse(argv);
    const auto status = options ? serve(*options) : Result<int>(fail(options.error()));
    if (status) return *status;
    complain(status.error());
    return static_cast<int>(status.error().code());
}

}  // namespace
}  // namespace bpfwarden

int main(int argc, char** argv) { return bpfwarden::main({argv, static_cast<std::size_t>(argc)}); }
