// SPDX-License-Identifier: Apache-2.0
// Policies are switched as fast as it goes while all processors open files: each open is decided by one policy as a
// whole, by the one that its event names, and by one at any instant.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "enforce/policy_event.hpp"
#include "enforce/policy_ring.hpp"
#include "vm/policy_guest.hpp"

namespace bpfwarden::test {

namespace {

namespace fs = std::filesystem;

const std::string hammer = open_place + "hammer/";
constexpr unsigned files = 26, never = 24, always = 25;  // others: one policy refuses the even, the other the odd

bool soak() { return std::getenv("BPFWARDEN_SOAK") != nullptr; }

std::string name_of(unsigned file) {
    return file == never ? "never" : file == always ? "always" : "file" + std::to_string(file);
}
// What is opened is known from how many were before. 11 has no divisor in common with 26.
constexpr unsigned file_at(std::uint64_t turn) { return static_cast<unsigned>(turn * 11 % files); }
bool refuses(unsigned parity, unsigned file) { return file == never || (file < never && file % 2 == parity); }

// Two that differ in each file, and in the number of each rule: the odd one has others before.
std::string rules_of(unsigned parity) {
    std::string rules;
    const auto rule = [&](const std::string& name, const char* what, const std::string& path) {
        rules += "[[rule]]\nname = \"" + name + "\"\ndomains = [\"actor\"]\n" + what + "\npaths = [\"" + path + "\"]\n";
    };
    if (parity) {
        for (int i = 0; i < 7; ++i)
            rule("before" + std::to_string(i), "deny = [\"write\"]", "/run/evade/none/" + std::to_string(i));
        rule("told", "audit = [\"read\"]", hammer + "*");
    }
    for (unsigned file = 0; file < files; ++file)
        if (refuses(parity, file))
            rule(name_of(file), "deny = [\"read\", \"mkdir\"]", hammer + name_of(file) + "{,/**}");
    if (!parity) rule("told", "audit = [\"read\"]", hammer + "*");
    return usual_rules + rules;
}

std::uint64_t boot_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// --- who opens
// ----------------------------------------------------------------------------------------------------------

// In a file that the opener and the test have mapped.
struct Shared {
    static constexpr std::uint64_t room = 4 << 20;
    std::atomic<bool> end;
    std::atomic<std::uint64_t> opened, read;  // events that the test has read: the opener is never far ahead of it
    std::uint8_t verdicts[room];              // 0: opened, 1: refused, 2: something else
};
Shared* shared(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ::ftruncate(fd, sizeof(Shared))) return nullptr;
    void* address = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    return address == MAP_FAILED ? nullptr : static_cast<Shared*>(address);
}

int open_all_the_time(const Words& words) {
    auto* ours = shared(words.at(0));
    if (!ours) return 200;
    std::string paths[files];
    for (unsigned file = 0; file < files; ++file) paths[file] = hammer + name_of(file);
    for (std::uint64_t turn = 0; !ours->end && turn < Shared::room; ++turn) {
        while (turn - ours->read > 4000 && !ours->end) ::sched_yield();
        const int fd = ::open(paths[file_at(turn)].c_str(), O_RDONLY);
        ours->verdicts[turn] = fd >= 0 ? 0 : errno == EACCES ? 1 : 2;
        ours->opened = turn + 1;
        if (fd >= 0) ::close(fd);
    }
    return 0;
}

// What both policies refuse, and what both permit; and for who is in no domain all is permitted. (No renames: a name
// that cannot be told because of them is refused, and that is another test.)
int do_other_things(const Words& words) {
    auto* ours = shared(words.at(0));
    if (!ours) return 200;
    const bool confined = words.at(1) == "confined";
    const auto of_both = hammer + "never/", of_none = hammer + "always/" + words.at(1);
    while (!ours->end) {
        const bool made = ::mkdir((of_both + words.at(1)).c_str(), 0755) == 0;
        if (made == confined) return 201;
        if (made && ::rmdir((of_both + words.at(1)).c_str())) return 202;
        if (::mkdir(of_none.c_str(), 0755) || ::rmdir(of_none.c_str())) return 203;
        const int fd = ::open(of_both.c_str(), O_RDONLY);
        if ((fd < 0) != confined) return 204;
        if (fd >= 0) ::close(fd);
        ++ours->opened;
    }
    return 0;
}

// --- who reads
// ----------------------------------------------------------------------------------------------------------

struct Told {
    std::uint64_t time;
    std::uint32_t generation, rule;
    unsigned file;
    bool denied;
};

class Reader {
  public:
    Reader(enforce::PolicyForce& force, std::map<std::uint32_t, Shared*> openers)
        : openers_(std::move(openers)),
          rings_{enforce::PolicyRing::open(force.map("denials").value()).value(),
                 enforce::PolicyRing::open(force.map("others").value()).value()} {}
    void read() {
        for (auto& ring : rings_) {
            while (const auto record = ring.next()) take(*record);
            ring.release();
        }
    }
    // In the order in which the process asked.
    std::vector<Told> of(std::uint32_t pid) {
        auto& all = told_[pid];
        std::ranges::sort(all, {}, &Told::time);
        return all;
    }

  private:
    void take(std::span<const std::byte> record) {
        const auto told = enforce::read_told(record);
        if (!told || told->event.hook != BW_HOOK_FILE_OPEN || !openers_.contains(told->event.pid)) return;
        const auto path = told->texts[BW_TEXT_PATH];
        unsigned file = 0;
        while (file < files && path != hammer + name_of(file)) ++file;
        if (file == files) return;
        const auto& event = told->event;
        told_[event.pid].push_back({event.time, event.generation, event.rule, file, event.told == BW_TOLD_DENIED});
        ++openers_.at(event.pid)->read;
    }
    std::map<std::uint32_t, Shared*> openers_;
    std::array<enforce::PolicyRing, 2> rings_;
    std::map<std::uint32_t, std::vector<Told>> told_;
};

// How often a kernel has left out programs because one of them was already running on that processor.
std::uint64_t left_out() {
    std::uint64_t count = 0;
    for (__u32 id = 0; ::bpf_prog_get_next_id(id, &id) == 0;) {
        const UniqueFd fd(::bpf_prog_get_fd_by_id(id));
        bpf_prog_info info{};
        __u32 size = sizeof info;
        if (fd && ::bpf_prog_get_info_by_fd(fd.get(), &info, &size) == 0) count += info.recursion_misses;
    }
    return count;
}

// --- who switches, and who judges
// ---------------------------------------------------------------------------------------

struct Switch {
    std::uint64_t begin, end;
    std::uint32_t generation;  // from then on
};

class PolicyHammer : public PolicyGuest {
  protected:
    void SetUp() override {
        PolicyGuest::SetUp();
        if (IsSkipped()) return;
        for (unsigned file = 0; file < files; ++file) {
            if (file == never || file == always)
                fs::create_directories(hammer + name_of(file));
            else
                fs::create_directories(hammer), write_file(hammer + name_of(file), "text\n");
        }
        // Most of a switch is waiting until each processor was somewhere else, and this makes that fast.
        std::ofstream("/sys/kernel/rcu_expedited") << 1;
    }
    void TearDown() override {
        std::ofstream("/sys/kernel/rcu_expedited") << 0;
        for (const auto& entry : fs::directory_iterator(room))
            if (entry.path().filename().string().starts_with("shared-")) fs::remove(entry);
        PolicyGuest::TearDown();
    }

    // Puts that one of the two in force, and keeps what its rules are called.
    std::uint32_t put(unsigned parity) {
        auto compiled = compile(rules_of(parity));
        std::map<std::string, std::uint32_t> numbers;
        for (std::size_t i = 0; i < compiled.rules.size(); ++i)
            numbers[compiled.rules[i].name] = static_cast<std::uint32_t>(i + 1);
        const auto generation = force().apply(std::move(compiled)).value();
        policies_[generation] = {parity, std::move(numbers)};
        return generation;
    }

    struct Found {
        std::uint64_t opens = 0, wrong = 0, untold = 0;
        std::string first;  // of what is wrong
        std::map<std::uint32_t, std::uint64_t> by;
    };
    // Opens on all processors, and does other things, while `change` is called `times` times; then compares what each
    // opener saw with what was told.
    Found run(int times, const std::function<Switch(int)>& change) {
        Reader(force(), {}).read();  // what the cases before have left: the rings may be full of it
        const auto lost = force().status()->counts;
        std::map<std::uint32_t, Shared*> openers;
        std::vector<std::pair<pid_t, Shared*>> others;
        for (long i = 0; i < ::sysconf(_SC_NPROCESSORS_ONLN); ++i) {
            const auto path = room + "shared-" + std::to_string(i);
            auto* ours = shared(path);
            openers[static_cast<std::uint32_t>(start(actor, open_all_the_time, {path}))] = ours;
        }
        for (const auto& [who, word] : {std::pair{actor, "confined"}, {nobody, "unconfined"}}) {
            const auto path = room + "shared-" + word;
            auto* ours = shared(path);
            others.emplace_back(start(who, do_other_things, {path, word}), ours);
        }
        std::vector<Switch> switches{{0, boot_ns(), force().status()->generation}};
        std::atomic<bool> ends = false;
        Reader reader(force(), openers);
        std::thread reads([&] {
            while (!ends) {
                reader.read();
                ::usleep(1000);
            }
        });
        const auto all_began = [&] {
            for (const auto& [pid, ours] : openers)
                if (ours->opened < 100) return false;
            for (const auto& [pid, ours] : others)
                if (ours->opened < 1) return false;
            return true;
        };
        const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!all_began() && std::chrono::steady_clock::now() < patience) ::usleep(1000);
        EXPECT_TRUE(all_began());
        for (int i = 0; i < times; ++i) switches.push_back(change(i));
        for (const auto& [pid, ours] : openers) ours->end = true;
        for (const auto& [pid, ours] : others) {
            ours->end = true;
            other_ends_.push_back(wait_for(pid));
        }
        for (const auto& [pid, ours] : openers) EXPECT_EQ(wait_for(static_cast<pid_t>(pid)), 0);
        ends = true;
        reads.join();
        reader.read();
        const auto counts = force().status()->counts;
        EXPECT_EQ(counts.lost_denials + counts.lost_others, lost.lost_denials + lost.lost_others);
        EXPECT_EQ(counts.blind, lost.blind);
        Found found;
        for (const auto& [pid, ours] : openers) {
            judge(*ours, reader.of(pid), switches, found);
            ::munmap(ours, sizeof(Shared));
        }
        for (const auto& [pid, ours] : others) ::munmap(ours, sizeof(Shared));
        return found;
    }

    void judge(const Shared& ours, const std::vector<Told>& told, const std::vector<Switch>& switches, Found& found) {
        const auto wrong = [&](std::uint64_t turn, const std::string& what) {
            if (!found.wrong++)
                found.first = "open " + std::to_string(turn) + " of " + name_of(file_at(turn)) + ": " + what;
        };
        std::size_t next = 0, at = 0;
        for (std::uint64_t turn = 0; turn < ours.opened; ++turn) {
            ++found.opens;
            const unsigned file = file_at(turn);
            const auto verdict = ours.verdicts[turn];
            // Events come in the order of opens, each of the file that is next: one that is of another is of a later
            // open.
            if (next == told.size() || told[next].file != file) {
                ++found.untold;
                wrong(turn, "decided by no policy, seen as " + std::to_string(verdict) + ", of " +
                                std::to_string(ours.opened));
                continue;
            }
            const auto& event = told[next++];
            ++found.by[event.generation];
            const auto policy = policies_.find(event.generation);
            if (policy == policies_.end()) {
                wrong(turn, "decided by generation " + std::to_string(event.generation) + ", which is none");
                continue;
            }
            const auto& [parity, numbers] = policy->second;
            const bool refused = refuses(parity, file);
            if (event.denied != refused || verdict != (refused ? 1 : 0))
                wrong(turn, "told as " + std::to_string(event.denied) + ", seen as " + std::to_string(verdict) +
                                ", in generation " + std::to_string(event.generation) + " it is " +
                                std::to_string(refused));
            else if (event.rule != numbers.at(refused ? name_of(file) : "told"))
                wrong(turn, "rule " + std::to_string(event.rule) + " is of another generation");
            // Between two switches there is only one.
            while (at + 1 < switches.size() && switches[at + 1].end <= event.time) ++at;
            const bool during = at + 1 < switches.size() && switches[at + 1].begin <= event.time;
            if (!during && event.time > switches[at].end && event.generation != switches[at].generation)
                wrong(turn, "decided by generation " + std::to_string(event.generation) + " while " +
                                std::to_string(switches[at].generation) + " was in force");
        }
        if (next != told.size()) wrong(ours.opened, "events that are of no open");
    }

    struct Policy {
        unsigned parity = 0;
        std::map<std::string, std::uint32_t> numbers;  // of rules
    };
    std::map<std::uint32_t, Policy> policies_;
    std::vector<int> other_ends_;
};

TEST_F(PolicyHammer, AThousandSwitchesUnderLoad) {
    put(0);
    put(1);
    const bool here = std::string_view(std::getenv("BPFWARDEN_KERNEL")) == "lts";
    const int times = soak() ? 100'000 : here ? 1000 : 50, applied = soak() ? 1000 : 5;
    const auto began = boot_ns();
    const auto found = run(times, [&](int number) {
        Switch done{boot_ns(), 0, 0};
        done.generation = number % (times / applied) == 1 ? put(static_cast<unsigned>(number / (times / applied)) % 2)
                                                          : force().rollback().value();
        done.end = boot_ns();
        return done;
    });
    const auto seconds = static_cast<double>(boot_ns() - began) / 1e9;
    EXPECT_EQ(found.wrong, 0U) << found.first;
    EXPECT_GT(found.opens, static_cast<std::uint64_t>(times)) << "there is less to see than switches";
    EXPECT_GE(found.by.size(), 2U);
    EXPECT_EQ(other_ends_, (std::vector{0, 0}));
    EXPECT_EQ(left_out(), 0U);
    std::cout << times << " switches in " << seconds << " s, " << found.opens << " opens, decided by generation";
    for (const auto& [generation, count] : found.by) std::cout << ' ' << generation << ": " << count;
    std::cout << '\n';
    apply(usual_rules);
}

// The control: policies that are taken away before the next is there.
TEST_F(PolicyHammer, ControlASwitchInTwoStepsIsSeen) {
    BW_IN_ONE_GUEST("lts");
    put(0);
    put(1);
    const auto images = force().map("images").value();
    const auto found = run(soak() ? 1000 : 30, [&](int) {
        Switch done{boot_ns(), 0, 0};
        const __u32 slot = 0;
        const auto now = force().image(0).value(), before = force().image(1).value();
        const int fd = before->fd().get();
        EXPECT_EQ(::bpf_map_delete_elem(images.get(), &slot), 0);
        EXPECT_EQ(::bpf_map_update_elem(images.get(), &slot, &fd, BPF_ANY), 0);
        const __u32 other = 1;
        const int now_fd = now->fd().get();
        EXPECT_EQ(::bpf_map_update_elem(images.get(), &other, &now_fd, BPF_ANY), 0);
        done.generation = before->generation();
        done.end = boot_ns();
        return done;
    });
    // Where a whole round of the files went by in between, it is a later open's event that does not fit, and the opens
    // without one are the last.
    EXPECT_GT(found.untold, 0U) << found.first;
    apply(usual_rules);
}

// The other control: images that are parts of both.
TEST_F(PolicyHammer, ControlWhatIsOfTheOtherPolicyIsSeen) {
    BW_IN_ONE_GUEST("lts");
    put(0);
    const auto second = put(1);
    const auto found = run(4, [&](int) {
        Switch done{boot_ns(), 0, 0};
        done.generation = force().rollback().value();
        // What is said to be the second's is the first's now.
        policies_[second].parity = 0;
        done.end = boot_ns();
        return done;
    });
    EXPECT_GT(found.wrong, 0U);
    apply(usual_rules);
}

}  // namespace

}  // namespace bpfwarden::test
