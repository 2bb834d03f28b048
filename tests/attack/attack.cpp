// SPDX-License-Identifier: Apache-2.0
#include "attack/attack.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "attack/acts.hpp"
#include "attack/eventually.hpp"
#include "attack/sealed.hpp"
#include "root/guests.hpp"

namespace bpfwarden::test {

static std::map<std::string, Vector>& vectors() {
    static std::map<std::string, Vector> all;
    return all;
}

Registered::Registered(const char* name, const Vector& vector) {
    if (!vectors().emplace(name, vector).second) throw std::logic_error(std::string("two vectors are called ") + name);
}

namespace {

// The attacker: does first what comes before the victim is protected, and the act when it is told to.
class Attacker {
  public:
    Attacker(const World& world, const Vector& vector, const Place& at) {
        int ready[2] = {-1, -1}, go[2] = {-1, -1};
        EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(go, O_CLOEXEC), 0);
        pid_ = world.start([&] {
            ::prctl(PR_SET_NAME, "attacker");
            ::close(go[1]);
            const int prepared = vector.before ? vector.before(at) : 0;
            char byte = 0;
            (void)!::write(ready[1], &byte, 1);
            (void)!::read(go[0], &byte, 1);
            return prepared ? prepared : vector.act(at);
        });
        ::close(ready[1]);
        ::close(go[0]);
        char byte = 0;
        EXPECT_EQ(::read(ready[0], &byte, 1), 1);
        ::close(ready[0]);
        go_ = go[1];
    }
    Attacker(const Attacker&) = delete;
    ~Attacker() {
        if (go_ < 0) return;
        ::kill(pid_, SIGKILL);
        (void)act();
    }
    int act() {
        ::close(std::exchange(go_, -1));
        return wait_for(pid_);
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = -1;
    int go_ = -1;
};

class Case : public ::testing::Test {
  public:
    explicit Case(const Vector& vector) : vector_(vector), at_(place_in(vector.home)) {}

  protected:
    void SetUp() override {
        if (!emulated()) GTEST_SKIP() << "attacks are made in guests of tools/lab only";
        if (const char* missing = vector_.missing ? vector_.missing() : nullptr) GTEST_SKIP() << missing;
        std::filesystem::create_directories(outer_secrets);
        std::filesystem::remove(other_actor);
        for (const char* name : {"file", "innocent"}) std::ofstream(outer_secrets + name) << name << '\n';
    }
    void make_victim(const World& world) {
        ASSERT_FALSE(decides(vector_.victim)) << "something decides before there is a victim";
        ASSERT_EQ(load(world, vector_.victim, at_), 0);
        ASSERT_TRUE(decides(vector_.victim)) << "the victim decides nothing";
        ASSERT_FALSE(achieved(world)) << "it is so without the act";
    }
    bool achieved(const World& world) const {
        return vector_.achieved && world.run([&] { return vector_.achieved(at_) ? 1 : 0; }) == 1;
    }
    void clean_up() const {
        if (vector_.clean_up) vector_.clean_up();
    }

    const Vector& vector_;
    const Place at_;
};

class Control : public Case {
    using Case::Case;
    void TestBody() override {
        const World world;
        std::optional<Guardian> guardian;
        if (vector_.guardian) {
            ASSERT_TRUE(guardian.emplace(world).serves()) << guardian->said();
        }
        ASSERT_NO_FATAL_FAILURE(make_victim(world));
        Attacker attacker(world, vector_, at_);
        const int status = attacker.act();
        EXPECT_TRUE(status == 0 || vector_.loses == Loses::nothing) << "the act itself does not work: " << status;
        const bool goes = vector_.loses == Loses::policy;
        EXPECT_EQ(goes ? ends(vector_.victim) : !stays(vector_.victim), goes);
        EXPECT_EQ(achieved(world), vector_.loses == Loses::other) << "this is no attack";
        clean_up();
    }
    void TearDown() override {
        clean_up();
        detach_all();
        EXPECT_TRUE(ends(vector_.victim)) << "the victim outlives its world";
    }
};

class Sealed : public Case {
  public:
    using Case::Case;

  protected:
    void SetUp() override {
        Case::SetUp();
        if (IsSkipped()) return;
        // Sealed anew, so that it was so before the seal.
        if (vector_.before) SealedWorld::forget();
        sealed_ = &SealedWorld::now([&](const World& world) {
            if (vector_.before) attacker_.emplace(world, vector_, at_);
        });
        ASSERT_TRUE(sealed_->works());
    }
    void protect_a_victim() {
        if (sealed_->keeps(vector_.victim, vector_.home)) return;
        sealed_->remove_victim();
        ASSERT_NO_FATAL_FAILURE(make_victim(sealed_->world()));
        ASSERT_TRUE(sealed_->protect(vector_.victim, vector_.home));
    }
    void TestBody() override {
        const auto& world = sealed_->world();
        const bool own = is_without_link(vector_.victim);
        if (!own) protect_a_victim();
        if (HasFatalFailure()) return;
        if (!attacker_) attacker_.emplace(world, vector_, at_);
        const int status = attacker_->act();
        EXPECT_TRUE(own ? sealed_->core_decides(vector_.victim) : stays(vector_.victim)) << "the attack works";
        EXPECT_TRUE(sealed_->is_whole()) << "the guard's own bpffs is gone";
        if (vector_.not_held) {
            EXPECT_TRUE(vector_.loses == Loses::act ? status == 0 : achieved(world))
                << "it is held, though docs/guard.md says: " << vector_.not_held;
            if (vector_.guardian) expect_told_later();
            return;
        }
        EXPECT_FALSE(achieved(world)) << "the attack works";
        expect_refused(*attacker_, status);
    }
    // Its process is not needed for what is in force, nor for what is tried to be told.
    void expect_told_later() {
        const pid_t meanwhile = sealed_->attempt();
        clean_up();
        ASSERT_TRUE(sealed_->revive());
        EXPECT_TRUE(sealed_->told_of(meanwhile)) << "what was tried meanwhile is lost";
    }
    void expect_refused(const Attacker& attacker, int status) const {
        if (vector_.loses == Loses::nothing) return;
        EXPECT_TRUE(status != 0 || std::filesystem::exists(other_actor)) << "the act was not refused";
        const auto other = text_of(other_actor);
        EXPECT_TRUE(sealed_->told_of(other.empty() ? attacker.pid() : std::stoi(other))) << "nobody is told who it was";
    }
    void TearDown() override {
        if (sealed_ == nullptr) return;
        clean_up();
        sealed_->tidy();
        if (HasFailure()) SealedWorld::forget();
    }
    SealedWorld* sealed_ = nullptr;
    std::optional<Attacker> attacker_;
};

// The same act on the guard's own bpffs.
class Guard : public Sealed {
    using Sealed::Sealed;
    void TestBody() override {
        Attacker attacker(sealed_->world(), vector_, guards_place());
        const int status = attacker.act();
        EXPECT_TRUE(sealed_->is_whole()) << "the attack works";
        expect_refused(attacker, status);
    }
};

// A line a vector, with tabs between: for tools/attack-matrix.
int list_vectors() {
    constexpr std::array loses{"policy", "nothing", "other", "act"};
    for (const auto& [name, each] : vectors())
        std::cout << name << '\t' << loses.at(static_cast<std::size_t>(each.loses)) << '\t'
                  << (each.home == Home::apart ? "own" : "") << '\t' << (each.not_held ? each.not_held : "") << '\t'
                  << each.what << '\n';
    return std::cout.flush() ? 0 : 1;
}

class Unsealed : public ::testing::Environment {
    void TearDown() override { SealedWorld::forget(); }
};

}  // namespace
}  // namespace bpfwarden::test

int main(int argc, char** argv) {
    using namespace bpfwarden::test;
    if (argc == 2 && std::string_view(argv[1]) == "--list-vectors") return list_vectors();
    // Those of one victim behind each other: an unharmed one is kept. What is to be done before the seal comes first:
    // it needs a new one.
    std::vector<std::pair<std::string, Vector>> ordered(vectors().begin(), vectors().end());
    std::ranges::stable_sort(ordered, {}, [](const auto& one) {
        return std::tuple(one.second.before == nullptr, one.second.victim, one.second.home);
    });
    for (const auto& one : ordered) {
        const auto& [name, each] = one;
        const auto add = [&](const char* suite, auto make) {
            ::testing::RegisterTest(suite, name.c_str(), nullptr, each.what, __FILE__, __LINE__, make);
        };
        add("Control", [&each = one.second]() -> Case* { return new Control(each); });
        add("Sealed", [&each = one.second]() -> Case* { return new Sealed(each); });
        if (each.home == Home::apart) add("Guard", [&each = one.second]() -> Case* { return new Guard(each); });
    }
    ::testing::InitGoogleTest(&argc, argv);
    ::testing::AddGlobalTestEnvironment(new Unsealed);
    return RUN_ALL_TESTS();
}
