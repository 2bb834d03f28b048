// SPDX-License-Identifier: Apache-2.0
#include "holder.hpp"

#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

namespace bpfwarden::test {

namespace {

// Counts what this thread does: a program on its processor, and the thread's own number to compare.
class Counted {
  public:
    std::string begin(bpfw_session* session) {
        map_ = create_map(session);
        const int program = load_program(session, BPF_PROG_TYPE_TRACEPOINT, count_in(map_, 0));
        if (program < 0) return std::string("load: ") + ::bpfw_error();
        const int id = ::bpfw_tracepoint_id(session, "syscalls/sys_enter_getppid");
        perf_event_attr attr{};
        attr.type = PERF_TYPE_TRACEPOINT;
        attr.size = sizeof attr;
        attr.config = static_cast<unsigned>(id);
        attr.sample_period = 1;
        const int event = id < 0 ? -1 : ::bpfw_perf_event_open(session, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
        if (event < 0) return std::string("event: ") + ::bpfw_error();
        if (link(session, program, event, BPF_PERF_EVENT) < 0) return std::string("link: ") + ::bpfw_error();
        ::ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
        thread_ = std::thread([this] {
            cpu_set_t first;
            CPU_ZERO(&first);
            CPU_SET(0, &first);
            ::sched_setaffinity(0, sizeof first, &first);
            for (;;) {
                ::syscall(SYS_getppid);
                ++calls_;
                ::usleep(500);
            }
        });
        return "ok";
    }
    // "all" if every call so far was counted.
    std::string seen() const {
        const auto before = calls_.load();
        (void)eventually([&] { return calls_.load() > before; });
        const auto called = calls_.load();
        const auto counted = first_element(map_);
        return called > before && counted >= called ? "all" : std::to_string(counted) + " of " + std::to_string(called);
    }
    std::string stopped() const {
        const auto before = first_element(map_), called = calls_.load();
        (void)eventually([&] { return calls_.load() > called + 5; });
        return first_element(map_) == before ? "stopped" : "runs on";
    }

  private:
    int map_ = -1;
    std::atomic<std::uint64_t> calls_ = 0;
    std::thread thread_;
};

std::string load_and_close(bpfw_session* session) {
    const int program = load_program(session, BPF_PROG_TYPE_TRACEPOINT);
    const auto said = outcome(program);
    ::close(program);
    return said;
}

}  // namespace

void obey(Actor& actor) {
    auto* session = ::bpfw_open("tracing");
    auto* counted = new Counted;
    bpfw_session* child = nullptr;
    actor.say(session == nullptr ? ::bpfw_error() : "open");
    if (session == nullptr) ::_exit(0);
    for (std::string word; !(word = actor.listen()).empty();) {
        if (word.starts_with("(nothing")) continue;
        const auto said = word == "count"           ? counted->begin(session)
                          : word == "seen"          ? counted->seen()
                          : word == "stopped"       ? counted->stopped()
                          : word == "map"           ? outcome(create_map(session))
                          : word == "program"       ? load_and_close(session)
                          : word == "derive"        ? (child = ::bpfw_derive(session, arrays)) ? "ok" : ::bpfw_error()
                                 : word == "child map" ? outcome(create_map(child))
                          : word == "child program" ? load_and_close(child)
                                                    : "what?";
        actor.say(said);
    }
    // With a thread that goes on, it does not end by itself.
    ::_exit(0);
}

std::string ask(Actor& actor, const std::string& word) {
    actor.tell(word);
    return actor.hear();
}

bool is_gone(pid_t pid) {
    return eventually([&] {
        std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
        std::string number, name, state;
        return !(stat >> number >> name >> state) || state == "Z";
    });
}

}  // namespace bpfwarden::test
