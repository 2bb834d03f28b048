// SPDX-License-Identifier: Apache-2.0
// The table of layouts: every command is in it or is left out for a reason, and no entry contradicts itself.
#include <gtest/gtest.h>

#include <map>

#include "grant/facts.hpp"
#include "kernel/names.hpp"
#include "unit/wire/samples.hpp"

namespace bpfwarden::wire {

// Checked against a grant, and still not possible over a session.
static const std::map<std::string_view, std::string_view> left_out = {
    {"btf_get_next_id", "the kernel asks for CAP_SYS_ADMIN, which no worker has"},
    {"prog_assoc_struct_ops", "the headers that this is built with do not have its attributes"},
};

TEST(Layout, EveryCommandThatIsCheckedHasOneOrAReason) {
    std::size_t found = 0;
    for (const auto& facts : grant::all_command_facts()) {
        const auto number = kernel::Names::known().value(kernel::NameKind::command, facts.command);
        ASSERT_TRUE(number) << facts.command;
        const bool has = bpf_layout(*number, bpf_attr{}).has_value();
        if (facts.kind == grant::CommandClass::checked) {
            EXPECT_NE(has, left_out.contains(facts.command)) << facts.command;
        } else {
            // Of those that need no privilege two may come to the broker: a stand-in is nothing to the kernel, and
            // kernels before 6.5 do want a capability for freezing.
            EXPECT_EQ(has, facts.command == "obj_get_info_by_fd" || facts.command == "map_freeze") << facts.command;
        }
        found += has;
    }
    EXPECT_GT(found, 20U);
}

TEST(Layout, UnknownCommandsHaveNone) {
    for (const std::uint32_t command : {39U, 64U, 0x10000U, 0x10005U, ~0U})
        EXPECT_FALSE(bpf_layout(command, bpf_attr{})) << command;
}

// A newer type may keep pointers where nobody looks for them.
TEST(Layout, UnknownAttachTypesHaveNone) {
    bpf_attr attr{};
    for (std::uint32_t type = 0; type < 58; ++type) {
        attr.link_create.attach_type = type;
        EXPECT_TRUE(bpf_layout(BPF_LINK_CREATE, attr)) << type;
    }
    for (const std::uint32_t type : {58U, 59U, 1000U, ~0U}) {
        attr.link_create.attach_type = type;
        EXPECT_FALSE(bpf_layout(BPF_LINK_CREATE, attr)) << type;
    }
}

// Fields lie inside the attributes that the command has, and never on each other.
TEST(Layout, FieldsDoNotOverlap) {
    for (const auto& sample : every_call()) {
        std::vector<int> taken(sizeof(bpf_attr), 0);
        const auto& layout = sample.layout;
        EXPECT_LE(layout.size, sizeof(bpf_attr)) << sample.name;
        const auto take = [&](std::size_t offset, std::size_t size) {
            EXPECT_LE(offset + size, layout.size) << sample.name;
            for (std::size_t i = offset; i < offset + size && i < taken.size(); ++i)
                EXPECT_EQ(taken[i]++, 0) << sample.name << " at " << i;
        };
        for (const auto& fd : layout.fds) take(fd.offset, 4);
        for (const auto& buffer : layout.buffers) take(buffer.pointer, 8);
        for (const auto& one : layout.results) take(one.offset, one.size);
    }
}

}  // namespace bpfwarden::wire
