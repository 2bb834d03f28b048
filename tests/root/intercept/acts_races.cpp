// SPDX-License-Identifier: Apache-2.0
// A thread that changes what another one asks for, while it asks.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "act.hpp"
#include "raw.hpp"

namespace bpfwarden::test {

using namespace raw;

namespace {

long open_files() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
}

// Does `change` as fast as it can, with 0 and 1 by turns, until it goes.
class Changer {
  public:
    explicit Changer(std::function<void(bool)> change)
        : thread_([this, change = std::move(change)] {
              for (bool second = false; !over_; second = !second) {
                  change(second);
                  // Of every length that a call has.
                  for (unsigned pause = pauses_++ % 512; pause > 0; --pause) {
                      asm volatile("");
                  }
              }
          }) {}
    ~Changer() {
        over_ = true;
        thread_.join();
    }
    Changer(const Changer&) = delete;

  private:
    std::atomic<bool> over_ = false;
    unsigned pauses_ = 0;
    std::thread thread_;
};

// `call` gives an fd or -1, `is_bad` looks at what was made.
std::string race(const std::string& times, const std::function<int()>& call, const std::function<bool(int)>& is_bad) {
    long made = 0, refused = 0, other = 0, bad = 0;
    for (long left = std::stol(times); left > 0; --left) {
        const int fd = call();
        if (fd >= 0) {
            ++made;
            if (is_bad(fd)) ++bad;
            ::close(fd);
        } else if (errno == EPERM) {
            ++refused;
        } else {
            ++other;
        }
    }
    return std::string(made > 0 ? "made" : "never made") + (refused > 0 ? ", refused" : ", never refused") +
           ", other errors: " + std::to_string(other) + ", got through: " + std::to_string(bad);
}

// The worker's files are counted in between.
std::string with_files_counted(const std::function<std::string()>& body) {
    ::close(create_map());
    const long before = open_files();
    say_line("ready");
    (void)hear_line();
    const auto said = body();
    const long after = open_files();
    say_line(said + (after == before ? "" : ", files left open: " + std::to_string(after - before)));
    (void)hear_line();
    return "";
}

void store(void* at, std::uint64_t value) { std::atomic_ref(*static_cast<std::uint64_t*>(at)).store(value); }

}  // namespace

// The type of a map, between one that the grant has and one that it has not.
BW_ACT(race_type, "race-type") {
    return with_files_counted([&] {
        alignas(8) static bpf_attr attr{};
        attr.key_size = 4;
        attr.value_size = 8;
        attr.max_entries = 1;
        // Type and key size are one word.
        const Changer changer([](bool second) {
            store(&attr, std::uint64_t{4} << 32 | (second ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_ARRAY));
        });
        return race(
            args.at(0), [] { return static_cast<int>(sys_bpf(BPF_MAP_CREATE, attr)); },
            [](int map) { return map_info(map).type != BPF_MAP_TYPE_ARRAY; });
    });
}

// What a check is worth that looks where the caller can write: by root, so that the kernel takes everything.
BW_ACT(race_naive, "race-naive") {
    alignas(8) static bpf_attr attr{};
    attr.key_size = 4;
    attr.value_size = 8;
    attr.max_entries = 1;
    const Changer changer(
        [](bool second) { store(&attr, std::uint64_t{4} << 32 | (second ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_ARRAY)); });
    const auto* type = reinterpret_cast<const volatile std::uint32_t*>(&attr);
    using Clock = std::chrono::steady_clock;
    for (const auto end = Clock::now() + std::chrono::seconds(15); Clock::now() < end;) {
        while (*type != BPF_MAP_TYPE_ARRAY) {
        }
        const int map = static_cast<int>(sys_bpf(BPF_MAP_CREATE, attr));
        if (map >= 0 && map_info(map).type != BPF_MAP_TYPE_ARRAY) return "deceived";
        ::close(map);
    }
    return "not deceived";
}

// The first instruction, between one that does nothing and the call of a helper that the grant does not have.
BW_ACT(race_code, "race-code") {
    return with_files_counted([&] {
        static Code code = return_value(0);
        std::array<std::uint64_t, 2> either{};
        std::memcpy(&either[0], code.data(), 8);
        const auto call = insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns);
        std::memcpy(&either[1], &call, 8);
        const Changer changer([&](bool second) { store(code.data(), either[second ? 1 : 0]); });
        auto attr = load_of(BPF_PROG_TYPE_SOCKET_FILTER, code);
        return race(
            args.at(0), [&] { return static_cast<int>(sys_bpf(BPF_PROG_LOAD, attr)); },
            [](int program) {
                Code loaded(8);
                bpf_prog_info info{};
                info.xlated_prog_len = static_cast<__u32>(loaded.size() * sizeof(bpf_insn));
                info.xlated_prog_insns = address(loaded.data());
                if (info_of(program, info) != 0 || info.xlated_prog_len == 0) return true;
                return std::ranges::any_of(loaded,
                                           [](const bpf_insn& one) { return one.code == (BPF_JMP | BPF_CALL); });
            });
    });
}

// What is behind the number of a map: its own, or (kept open for it) one that is not the session's.
BW_ACT(race_fd, "race-fd") {
    return with_files_counted([&] {
        constexpr int number = 200;
        const int own = create_map(), foreign = std::stoi(args.at(1));
        const auto id = map_info(own).id;
        ::dup2(own, number);
        std::string said;
        {
            const Changer changer([=](bool second) { ::dup2(second ? foreign : own, number); });
            const auto code = count_in(number);
            said = race(
                args.at(0), [&] { return load(BPF_PROG_TYPE_SOCKET_FILTER, code); },
                [=](int program) {
                    std::uint32_t used = 0;
                    bpf_prog_info info{};
                    info.nr_map_ids = 1;
                    info.map_ids = address(&used);
                    return info_of(program, info) != 0 || used != id;
                });
        }
        ::close(number);
        ::close(own);
        return said;
    });
}

}  // namespace bpfwarden::test
