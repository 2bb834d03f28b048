// SPDX-License-Identifier: Apache-2.0
// Where commands go: by the facts of the grant language, and by the table of layouts.
#include <gtest/gtest.h>

#include <linux/bpf.h>

#include "grant/facts.hpp"
#include "kernel/names.hpp"
#include "wire/bpf_layout.hpp"
#include "wire/commands.hpp"

namespace bpfwarden::wire {

TEST(Routes, AgreeWithTheFactsAndTheLayouts) {
    for (const auto& facts : grant::all_command_facts()) {
        const auto number = kernel::Names::known().value(kernel::NameKind::command, facts.command);
        ASSERT_TRUE(number) << facts.command;
        const auto route = route_of(*number);
        EXPECT_EQ(command_name(*number), facts.command);
        const bool layout = bpf_layout(*number, bpf_attr{}).has_value();
        EXPECT_EQ(route == Route::broker || route == Route::info || route == Route::freeze, layout) << facts.command;
        // Nothing that a grant decides goes past the broker; all that needs no privilege does, but for a token.
        if (facts.kind == grant::CommandClass::checked) {
            EXPECT_TRUE(route == Route::broker || route == Route::refused) << facts.command;
        } else if (facts.kind == grant::CommandClass::refused) {
            EXPECT_EQ(route, Route::refused) << facts.command;
        } else if (facts.command == "token_create") {
            EXPECT_EQ(route, Route::refused);
        } else if (facts.command == "obj_get_info_by_fd") {
            EXPECT_EQ(route, Route::info);
        } else if (facts.command == "map_freeze") {
            EXPECT_EQ(route, Route::freeze);
        } else {
            EXPECT_EQ(route, Route::kernel) << facts.command;
        }
    }
}

TEST(Routes, WhatIsNotKnownIsRefused) {
    for (const unsigned command : {39U, 100U, 0x10000U, 0x10005U, ~0U}) EXPECT_EQ(route_of(command), Route::refused);
}

}  // namespace bpfwarden::wire
