// SPDX-License-Identifier: Apache-2.0
#include "grant/print.hpp"

#include <gmock/gmock.h>

#include "grants.hpp"

namespace bpfwarden::grant {

TEST(Print, ReadsBackAsTheSame) {
    const auto grant = resolved(R"(format = 1
name = "x"
description = "with \"quotes\", a \\ and a \n line, é"
subject = [ { user = "a", uid = 7 }, { cgroup = "/x/**" } ]
dangerous = ["kernel_read"]
[groups]
g = ["hash"]
[allow]
program_types = ["xdp"]
map_types = ["@g", "@sockmap"]
helpers = ["any"]
kfuncs = ["bpf_*"]
verifier = []
commands = ["prog_load"]
[targets]
interfaces = []
uprobes = ["any"]
[identity]
signers = ["a"]
[limits]
map_memory = "64MiB"
maps = 0
[session]
lifetime = "1h30m"
hand_out = "program"
on_close = "keep"
not_revocable = false
)");
    const auto text = to_toml(grant);
    ASSERT_TRUE(text) << text.error().text("");
    const auto again = to_toml(resolved(*text));
    ASSERT_TRUE(again);
    EXPECT_EQ(*text, *again);
    EXPECT_THAT(*text, ::testing::HasSubstr("map_types = [\"hash\", \"sk_storage\", \"sockhash\", \"sockmap\"]"));
    EXPECT_THAT(*text, ::testing::HasSubstr("commands = [\"prog_load\"]"));
    EXPECT_THAT(*text, ::testing::HasSubstr("subject = [{ user = \"a\", uid = 7 }, { cgroup = \"/x/**\" }]"));
}

TEST(Print, RefusesWhatOneFileCannotSay) {
    const auto grant = resolved("format = 1\ninclude = ['b']\n[targets]\ninterfaces = ['a']",
                                {{"b", "format = 1\n[targets]\ninterfaces = ['b']"}});
    EXPECT_FALSE(to_toml(grant));
}

TEST(Print, StringsAreToml) { EXPECT_EQ(toml_string("a\"\\\n\x7f"), "\"a\\\"\\\\\\u000A\\u007F\""); }

}  // namespace bpfwarden::grant
