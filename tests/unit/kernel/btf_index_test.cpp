// SPDX-License-Identifier: Apache-2.0
// The names that kfuncs and symbols of a program are looked up by: kernel/btf.hpp, BtfIndex.
#include <cstring>
#include <iterator>
#include <memory>

#include <gtest/gtest.h>

#include "kernel/btf.hpp"

namespace bpfwarden::kernel {
namespace {

// Puts a small BTF blob together; every type is {name, kind, vlen, size} and its members.
class Blob {
  public:
    // Of a module: its strings go on after so many of its base.
    explicit Blob(std::uint32_t strings_below = 0) : below_(strings_below) {
        if (below_ == 0) strings_.push_back('\0');
    }
    std::uint32_t strings_size() const { return static_cast<std::uint32_t>(strings_.size()); }
    std::uint32_t name_of(std::string_view text) const { return static_cast<std::uint32_t>(strings_.find(text)); }
    void without_strings() { strings_.clear(); }
    void words(std::initializer_list<std::uint32_t> words) {
        for (const auto word : words) append(word);
    }
    std::uint32_t name(std::string_view text) {
        const auto at = below_ + static_cast<std::uint32_t>(strings_.size());
        strings_.append(text).push_back('\0');
        return at;
    }
    void type(std::uint32_t name, std::uint32_t kind, std::uint32_t vlen, std::initializer_list<std::uint32_t> tail,
              std::uint32_t target = 0) {
        for (const auto word : {name, kind << 24 | vlen, target}) append(word);
        for (const auto word : tail) append(word);
    }
    std::vector<std::byte> bytes() const {
        const auto types = static_cast<std::uint32_t>(types_.size());
        const std::uint32_t words[] = {0x0001eb9f, 24, 0, types, types, static_cast<std::uint32_t>(strings_.size())};
        std::string all(reinterpret_cast<const char*>(words), sizeof words);
        all += types_ + strings_;
        std::vector<std::byte> out(all.size());
        std::memcpy(out.data(), all.data(), all.size());
        return out;
    }

  private:
    void append(std::uint32_t word) { types_.append(reinterpret_cast<const char*>(&word), sizeof word); }
    std::uint32_t below_;
    std::string types_, strings_;
};

Blob sample() {
    Blob blob;
    blob.type(blob.name("int"), 1, 0, {0x01000020});
    blob.type(blob.name("colour"), 6, 2, {blob.name("RED"), 0, blob.name("BLUE"), 7});
    blob.type(blob.name("big"), 19, 1, {blob.name("WIDE"), 1, 1});
    blob.type(0, 13, 1, {blob.name("argument"), 1});
    blob.type(blob.name("a_function"), 12, 1, {});
    blob.type(blob.name("pair"), 4, 2, {blob.name("first"), 1, 0, blob.name("second"), 1, 32});
    blob.type(blob.name("colour"), 6, 1, {blob.name("SHADOW"), 1});
    return blob;
}

// 24 bits of members, where older blobs have 16 and zeros.
TEST(BtfIndex, TakesManyMembers) {
    Blob blob;
    const auto none = blob.name("int");
    const std::uint32_t members = 0x10001;
    blob.type(none, 1, 0, {0x01000020});
    blob.type(blob.name("many"), 6, members, {});
    for (std::uint32_t i = 0; i < members; ++i) blob.words({none, i});
    blob.type(blob.name("after"), 12, 1, {}, 1);
    const auto btf = Btf::from_bytes(blob.bytes());
    ASSERT_TRUE(btf);
    EXPECT_EQ(btf->enumerators("many").size(), members);
    EXPECT_EQ(btf->function("after").id, 3U);
}

TEST(BtfIndex, TypesByNumber) {
    auto btf = Btf::from_bytes(sample().bytes());
    ASSERT_TRUE(btf);
    const BtfIndex index(std::move(*btf));
    EXPECT_EQ(index.end(), 8U);
    EXPECT_EQ(index.name(5, BtfKind::func), "a_function");
    EXPECT_EQ(index.name(5, BtfKind::var), "");
    EXPECT_EQ(index.name(6, BtfKind::func), "");
    EXPECT_EQ(index.name(6, BtfKind::structure), "pair");
    EXPECT_EQ(index.type(1).name, "int");
    EXPECT_EQ(index.type(4).name, "");  // a prototype has none
    for (const std::uint32_t id : {0U, 8U, 9U, 0x7fffffffU, ~0U}) {
        EXPECT_EQ(index.type(id).kind, BtfKind::none) << id;
        EXPECT_EQ(index.name(id, BtfKind::func), "") << id;
        EXPECT_EQ(index.name(id, BtfKind::none), "") << id;
    }
    EXPECT_EQ(index.find(BtfKind::func, "a_function"), 5U);
    EXPECT_EQ(index.find(BtfKind::structure, "a_function"), 0U);
    EXPECT_EQ(index.find(BtfKind::func, "a_functio"), 0U);
    EXPECT_EQ(index.find(BtfKind::func, ""), 0U);
}

TEST(BtfIndex, AModuleGoesOnWhereItsBaseEnds) {
    Blob below = sample();
    auto btf = Btf::from_bytes(below.bytes());
    ASSERT_TRUE(btf);
    const auto base = std::make_shared<const BtfIndex>(std::move(*btf));
    Blob blob(below.strings_size());
    blob.type(blob.name("of_module"), 12, 1, {}, 4);
    blob.type(below.name_of("a_function"), 12, 1, {}, 4);  // its name is in the base
    blob.type(blob.name("a_variable"), 14, 0, {1}, 1);
    blob.type(0xffffff, 12, 1, {}, 4);  // a name that there is not
    const auto module = BtfIndex::of_module(blob.bytes(), base);
    ASSERT_TRUE(module) << module.error().text("");
    EXPECT_EQ(module->end(), 12U);
    EXPECT_EQ(module->name(8, BtfKind::func), "of_module");
    EXPECT_EQ(module->name(9, BtfKind::func), "a_function");
    EXPECT_EQ(module->name(10, BtfKind::var), "a_variable");
    EXPECT_EQ(module->type(10).target, 1U);
    EXPECT_EQ(module->name(11, BtfKind::func), "");
    EXPECT_EQ(module->type(12).kind, BtfKind::none);
    EXPECT_EQ(module->name(5, BtfKind::func), "a_function");  // the base's own
    EXPECT_EQ(base->type(8).kind, BtfKind::none);
    EXPECT_EQ(module->find(BtfKind::func, "of_module"), 8U);
    EXPECT_EQ(module->find(BtfKind::func, "a_function"), 5U);
    EXPECT_EQ(base->find(BtfKind::func, "of_module"), 0U);
}

TEST(BtfIndex, AModuleMayHaveNoStrings) {
    Blob below = sample();
    auto btf = Btf::from_bytes(below.bytes());
    ASSERT_TRUE(btf);
    const auto base = std::make_shared<const BtfIndex>(std::move(*btf));
    Blob blob(below.strings_size());
    blob.without_strings();
    blob.type(below.name_of("a_function"), 12, 1, {}, 4);
    EXPECT_FALSE(Btf::from_bytes(blob.bytes()));  // but no other may
    const auto module = BtfIndex::of_module(blob.bytes(), base);
    ASSERT_TRUE(module) << module.error().text("");
    EXPECT_EQ(module->name(8, BtfKind::func), "a_function");
    EXPECT_FALSE(BtfIndex::of_module({}, base));
}

// The numbers are the kernel's, so what is after a kind of unknown length has none that could be wrong.
TEST(BtfIndex, StopsAtAnUnknownKind) {
    Blob blob = sample();
    blob.type(blob.name("later"), 30, 0, {});
    blob.type(blob.name("beyond"), 12, 0, {});
    auto btf = Btf::from_bytes(blob.bytes());
    ASSERT_TRUE(btf);
    const BtfIndex index(std::move(*btf));
    EXPECT_EQ(index.end(), 8U);
    EXPECT_EQ(index.type(9).kind, BtfKind::none);
}

// The same numbers as a pass over the blob gives, on the kernel that runs.
TEST(BtfIndex, OfTheRunningKernel) {
    auto btf = Btf::of_vmlinux();
    if (!btf) GTEST_SKIP() << btf.error().text("");
    const std::string_view names[] = {"bpf_map_inc", "do_exit", "vfs_read", "no_such_function"};
    const auto passed = btf->functions(names);
    const BtfIndex index(std::move(*btf));
    EXPECT_GT(index.end(), 10'000U);
    for (std::size_t i = 0; i < std::size(names); ++i) {
        EXPECT_EQ(index.find(BtfKind::func, names[i]), passed[i].id) << names[i];
        EXPECT_EQ(index.name(passed[i].id, BtfKind::func), passed[i].id == 0 ? "" : names[i]);
    }
    EXPECT_NE(index.find(BtfKind::structure, "task_struct"), 0U);
}

// Any single byte changed: an answer or a refusal, never a read outside (run under the sanitizers).
TEST(BtfIndex, BoundsWhatDoesNotFit) {
    const auto good = sample().bytes();
    for (std::size_t at = 0; at < good.size(); ++at)
        for (const int change : {0x01, 0x80, 0xff}) {
            auto bad = good;
            bad[at] ^= static_cast<std::byte>(change);
            auto btf = Btf::from_bytes(std::move(bad));
            if (!btf) continue;
            const BtfIndex index(std::move(*btf));
            for (std::uint32_t id = 0; id <= index.end(); ++id) (void)index.type(id);
            (void)index.find(BtfKind::func, "a_function");
        }
}

}  // namespace
}  // namespace bpfwarden::kernel
