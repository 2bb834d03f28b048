// SPDX-License-Identifier: Apache-2.0
// Streams that a compiler and libbpf made, relocated as for loading. libbpf's loader generator does all of that and
// makes no system call: maps are then named by index.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstring>
#include <map>
#include <memory>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bytecode/features.hpp"
#include "bytecode/instruction.hpp"
#include "bytecode/reading.hpp"
#include "bytecode/relocate.hpp"

namespace bpfwarden::bytecode {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Stream = std::vector<bpf_insn>;
using Object = std::unique_ptr<bpf_object, decltype(&bpf_object__close)>;

Object open(const std::string& path) { return {bpf_object__open_file(path.c_str(), nullptr), bpf_object__close}; }

// The programs of an object by name, as they would be loaded.
std::map<std::string, Stream> relocated(const std::string& path) {
    const auto object = open(path);
    EXPECT_NE(object.get(), nullptr) << path;
    if (!object) return {};
    gen_loader_opts options{};
    options.sz = sizeof options;
    EXPECT_EQ(bpf_object__gen_loader(object.get(), &options), 0);
    EXPECT_EQ(bpf_object__load(object.get()), 0);
    std::map<std::string, Stream> found;
    bpf_program* one = nullptr;
    while ((one = bpf_object__next_program(object.get(), one))) {
        const auto* insns = bpf_program__insns(one);
        found[bpf_program__name(one)] = {insns, insns + bpf_program__insn_cnt(one)};
    }
    return found;
}

Reading reading_of(const Stream& stream) {
    const auto reading = read(stream);
    EXPECT_TRUE(reading) << reading.error().text("");
    return reading ? *reading : Reading{};
}

std::set<std::uint32_t> maps_of(const Reading& reading) {
    std::set<std::uint32_t> maps;
    for (const auto& map : reading.maps) maps.insert(map.number);
    return maps;
}

TEST(Objects, EveryKind) {
    auto programs = relocated(EVERY_KIND);
    ASSERT_THAT(programs, SizeIs(4));

    const auto straight = reading_of(programs["straight"]);
    EXPECT_THAT(straight.helpers, ElementsAre(BPF_FUNC_map_lookup_elem));
    ASSERT_THAT(straight.maps, SizeIs(1));
    EXPECT_EQ(straight.maps[0].by, MapBy::index);
    EXPECT_EQ(straight.subprograms, 1U);
    EXPECT_FALSE(straight.jumps_back);

    const auto calls = reading_of(programs["calls"]);
    EXPECT_THAT(calls.helpers, ElementsAre(BPF_FUNC_ktime_get_ns, BPF_FUNC_loop));
    EXPECT_EQ(calls.callbacks, 1U);
    EXPECT_EQ(calls.calls, 2U);  // of add(), by calls() and by each()
    EXPECT_EQ(calls.subprograms, 3U);
    EXPECT_THAT(maps_of(calls), SizeIs(2));  // .rodata and .bss
    for (const auto& map : calls.maps) EXPECT_EQ(map.by, MapBy::index_value);

    const auto loops = reading_of(programs["loops"]);
    EXPECT_THAT(loops.helpers, ElementsAre(BPF_FUNC_get_prandom_u32));
    EXPECT_TRUE(loops.jumps_back);
    EXPECT_EQ(loops.calls, 0U);

    // What they are is only known where they are loaded; the generator leaves numbers to be filled in.
    const auto kernel = reading_of(programs["kernel"]);
    EXPECT_EQ(kernel.kfuncs.size() + kernel.poisoned, 2U);
    EXPECT_THAT(kernel.symbols, SizeIs(1));
    EXPECT_THAT(kernel.helpers, IsEmpty());
}

TEST(Objects, Features) {
    auto programs = relocated(EVERY_KIND);
    const auto of = [&](const char* name) {
        const auto reading = reading_of(programs[name]);
        return features({.reading = reading})->names;
    };
    EXPECT_THAT(of("straight"), IsEmpty());
    EXPECT_THAT(of("calls"), ElementsAre("bpf2bpf_calls", "callbacks"));
    EXPECT_THAT(of("loops"), ElementsAre("bounded_loops"));
}

TEST(Objects, Examples) {
    const auto counter = reading_of(relocated(EXAMPLES "/packet_counter.bpf.o")["count_packets"]);
    EXPECT_THAT(counter.helpers, ElementsAre(BPF_FUNC_map_lookup_elem, BPF_FUNC_xdp_get_buff_len));
    EXPECT_THAT(maps_of(counter), SizeIs(1));
    const auto filter = reading_of(relocated(EXAMPLES "/packet_filter.bpf.o")["filter_packets"]);
    EXPECT_THAT(filter.helpers, ElementsAre(BPF_FUNC_map_lookup_elem));
    EXPECT_THAT(maps_of(filter), SizeIs(1));
    const auto gate = reading_of(relocated(EXAMPLES "/socket_gate.bpf.o")["gate_connect"]);
    EXPECT_THAT(gate.helpers, IsEmpty());
    EXPECT_THAT(gate.maps, IsEmpty());
    for (const auto& reading : {counter, filter, gate}) {
        EXPECT_FALSE(reading.jumps_back);
        EXPECT_FALSE(reading.trivial);
        EXPECT_THAT(reading.kfuncs, IsEmpty());
    }
}

// Rewritten with the fds that a broker might have, the form for the digest stays.
TEST(Objects, DigestFormSurvivesRewriting) {
    for (auto& [name, stream] : relocated(EVERY_KIND)) {
        const auto before = canonical(stream);
        const auto reading = reading_of(stream);
        const auto done = rewrite(
            stream, reading,
            [](const MapReference& map) -> Result<int> { return static_cast<int>(map.number) * 5 + 40; },
            [](const KernelSymbol&) -> Result<int> { return 9; });
        ASSERT_TRUE(done) << name << done.error().text("");
        for (const auto& map : reading_of(stream).maps)
            EXPECT_TRUE(map.by == MapBy::fd || map.by == MapBy::fd_value) << name;
        const auto after = canonical(stream);
        ASSERT_EQ(before.size(), after.size());
        EXPECT_EQ(std::memcmp(before.data(), after.data(), before.size() * sizeof(bpf_insn)), 0) << name;
    }
}

// Before relocation too, a compiler's output is well formed, but for calls that point nowhere yet.
TEST(Objects, AsCompiled) {
    const auto object = open(EVERY_KIND);
    ASSERT_NE(object.get(), nullptr);
    const auto* one = bpf_object__find_program_by_name(object.get(), "straight");
    ASSERT_NE(one, nullptr);
    const auto reading = reading_of({bpf_program__insns(one), bpf_program__insns(one) + bpf_program__insn_cnt(one)});
    EXPECT_THAT(reading.helpers, ElementsAre(BPF_FUNC_map_lookup_elem));
    EXPECT_THAT(reading.maps, IsEmpty());  // plain 64-bit loads until libbpf relocates them
}

}  // namespace
}  // namespace bpfwarden::bytecode
