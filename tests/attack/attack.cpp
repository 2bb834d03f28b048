// SPDX-License-Identifier: Apache-2.0
#include "attack/attack.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <utility>

#include "attack/sealed.hpp"
#include "attack/victim.hpp"
#include "attack/world.hpp"
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
    Attacker(const World& world, const Vector& vector) {
        int ready[2] = {-1, -1}, go[2] = {-1, -1};
        EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(go, O_CLOEXEC), 0);
        pid_ = world.start([&] {
            ::prctl(PR_SET_NAME, "attacker");
            ::close(go[1]);
            const int prepared = vector.before ? vector.before(world.place()) : 0;
            char byte = 0;
            (void)!::write(ready[1], &byte, 1);
            (void)!::read(go[0], &byte, 1);
            return prepared ? prepared : vector.act(world.place());
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
        if (go_ >= 0) (void)act();
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
    explicit Case(const Vector& vector) : vector_(vector) {}

  protected:
    void SetUp() override {
        if (!emulated()) GTEST_SKIP() << "attacks are made in guests of tools/lab only";
        if (const char* missing = vector_.missing ? vector_.missing() : nullptr) GTEST_SKIP() << missing;
        std::filesystem::create_directories(outer_secrets);
        for (const char* name : {"file", "innocent"}) std::ofstream(outer_secrets + name) << name << '\n';
        ASSERT_FALSE(decides(vector_.victim)) << "something decides before there is a victim";
    }
    void TearDown() override {
        if (vector_.clean_up) vector_.clean_up();
        detach_all();
        EXPECT_TRUE(ends(vector_.victim)) << "the victim outlives its world";
    }
    void make_victim(const World& world) {
        ASSERT_EQ(load(world, vector_.victim), 0);
        ASSERT_TRUE(decides(vector_.victim)) << "the victim decides nothing";
    }
    bool achieved(const World& world) const {
        return vector_.achieved && world.run([&] { return vector_.achieved(world.place()) ? 1 : 0; }) == 1;
    }

    const Vector& vector_;
};

class Control : public Case {
    using Case::Case;
    void TestBody() override {
        const World world(vector_.home);
        ASSERT_NO_FATAL_FAILURE(make_victim(world));
        ASSERT_FALSE(achieved(world)) << "it is so without the act";
        Attacker attacker(world, vector_);
        const int status = attacker.act();
        EXPECT_TRUE(status == 0 || vector_.loses == Loses::nothing) << "the act itself does not work: " << status;
        const bool goes = vector_.loses == Loses::policy;
        EXPECT_EQ(goes ? ends(vector_.victim) : !stays(vector_.victim), goes);
        EXPECT_EQ(achieved(world), vector_.loses == Loses::other) << "this is no attack";
    }
};

class Sealed : public Case {
    using Case::Case;
    void SetUp() override {
        Case::SetUp();
        if (IsSkipped()) return;
        if (const auto why = why_no_guard(); !why.empty()) GTEST_SKIP() << why;
    }
    void TestBody() override {
        const World world(vector_.home);
        ASSERT_NO_FATAL_FAILURE(make_victim(world));
        Attacker attacker(world, vector_);
        ASSERT_TRUE(protect(world, vector_.victim));
        const int status = attacker.act();
        EXPECT_TRUE(stays(vector_.victim)) << "the attack works";
        if (vector_.loses != Loses::nothing) {
            EXPECT_NE(status, 0) << "the act was not refused";
            EXPECT_TRUE(told_of(attacker.pid()));
        }
        EXPECT_FALSE(achieved(world)) << "the attack works";
    }
    void TearDown() override {
        release_all();
        Case::TearDown();
    }
};

}  // namespace
}  // namespace bpfwarden::test

int main(int argc, char** argv) {
    using namespace bpfwarden::test;
    for (const auto& [name, vector] : vectors()) {
        const auto& each = vector;
        ::testing::RegisterTest("Control", name.c_str(), nullptr, each.what, __FILE__, __LINE__,
                                [&]() -> Case* { return new Control(each); });
        ::testing::RegisterTest("Sealed", name.c_str(), nullptr, each.what, __FILE__, __LINE__,
                                [&]() -> Case* { return new Sealed(each); });
    }
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
