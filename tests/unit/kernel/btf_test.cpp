// SPDX-License-Identifier: Apache-2.0
#include "kernel/btf.hpp"

#include <cstring>

#include <gtest/gtest.h>

namespace bpfwarden::kernel {
namespace {

// Puts a small BTF blob together; every type is {name, kind, vlen, size} and its members.
class Blob {
  public:
    std::uint32_t name(std::string_view text) {
        const auto at = static_cast<std::uint32_t>(strings_.size());
        strings_.append(text).push_back('\0');
        return at;
    }
    void type(std::uint32_t name, std::uint32_t kind, std::uint32_t vlen, std::initializer_list<std::uint32_t> tail,
              std::uint32_t target = 0) {
        for (const auto word : {name, kind << 24 | vlen, target}) word_(word);
        for (const auto word : tail) word_(word);
    }
    std::vector<std::byte> bytes() const {
        const std::uint32_t types = static_cast<std::uint32_t>(types_.size());
        const std::uint32_t words[] = {0x0001eb9f, 24, 0, types, types, static_cast<std::uint32_t>(strings_.size())};
        std::string all(reinterpret_cast<const char*>(words), sizeof words);
        all += types_ + strings_;
        std::vector<std::byte> out(all.size());
        std::memcpy(out.data(), all.data(), all.size());
        return out;
    }

  private:
    void word_(std::uint32_t word) { types_.append(reinterpret_cast<const char*>(&word), sizeof word); }
    std::string types_, strings_{'\0'};
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

TEST(Btf, FindsEnumsFunctionsAndMembers) {
    const auto btf = Btf::from_bytes(sample().bytes());
    ASSERT_TRUE(btf) << btf.error().text("");
    const auto colour = btf->enumerators("colour");
    ASSERT_EQ(colour.size(), 2U);
    EXPECT_EQ(colour[1].name, "BLUE");
    EXPECT_EQ(colour[1].value, 7U);
    const auto big = btf->enumerators("big");
    ASSERT_EQ(big.size(), 1U);
    EXPECT_EQ(big[0].value, 0x100000001U);
    EXPECT_TRUE(btf->enumerators("shape").empty());
    EXPECT_EQ(btf->function("a_function").id, 5U);
    EXPECT_EQ(btf->function("a_functio").id, 0U);
    EXPECT_EQ(btf->function("colour").id, 0U);  // a name, but of an enum
    EXPECT_TRUE(btf->has_member("pair", "second"));
    EXPECT_FALSE(btf->has_member("pair", "third"));
    EXPECT_FALSE(btf->has_member("colour", "RED"));
}

TEST(Btf, TellsKfuncsFromFunctionsOfThatName) {
    Blob blob = sample();
    const auto unmarked = Btf::from_bytes(blob.bytes());
    ASSERT_TRUE(unmarked);
    EXPECT_FALSE(unmarked->marks_kfuncs());
    EXPECT_FALSE(unmarked->function("a_function").kfunc);
    blob.type(blob.name("another"), 12, 1, {});             // id 8
    blob.type(blob.name("bpf_kfunc"), 17, 0, {~0U}, 8);     // a mark on it
    blob.type(blob.name("bpf_fastcall"), 17, 0, {~0U}, 5);  // another mark
    const auto marked = Btf::from_bytes(blob.bytes());
    ASSERT_TRUE(marked);
    EXPECT_TRUE(marked->marks_kfuncs());
    EXPECT_TRUE(marked->function("another").kfunc);
    EXPECT_FALSE(marked->function("a_function").kfunc);
    EXPECT_FALSE(marked->function("no_such").kfunc);
}

// Sorted by name, as newer kernels have it, a mark can come before what it marks.
TEST(Btf, FindsMarksBeforeTheirFunctions) {
    Blob blob;
    blob.type(blob.name("bpf_kfunc"), 17, 0, {~0U}, 2);
    blob.type(blob.name("bpf_put_file"), 12, 1, {});
    const auto btf = Btf::from_bytes(blob.bytes());
    ASSERT_TRUE(btf);
    EXPECT_TRUE(btf->function("bpf_put_file").kfunc);
}

// Found under a name of its own, so that a later kind does not hide the earlier types.
TEST(Btf, StopsAtAnUnknownKind) {
    Blob blob = sample();
    blob.type(blob.name("later"), 30, 0, {});
    blob.type(blob.name("beyond"), 12, 0, {});
    const auto btf = Btf::from_bytes(blob.bytes());
    ASSERT_TRUE(btf);
    EXPECT_NE(btf->function("a_function").id, 0U);
    EXPECT_EQ(btf->function("beyond").id, 0U);
}

TEST(Btf, RefusesOrBoundsWhatDoesNotFit) {
    const auto good = sample().bytes();
    EXPECT_FALSE(Btf::from_bytes({}));
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_FALSE(Btf::from_bytes({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)})) << size;
    // Any single byte changed: an answer or a refusal, never a read outside (run under the sanitizers).
    for (std::size_t at = 0; at < good.size(); ++at)
        for (const int change : {0x01, 0x80, 0xff}) {
            auto bad = good;
            bad[at] ^= static_cast<std::byte>(change);
            if (const auto btf = Btf::from_bytes(std::move(bad))) {
                (void)btf->enumerators("colour");
                (void)btf->function("a_function");
                (void)btf->has_member("pair", "second");
            }
        }
}

}  // namespace
}  // namespace bpfwarden::kernel
