// SPDX-License-Identifier: Apache-2.0
// What the tests' command does: `acts NAME ARG…` runs one of these and prints what it returns. Under a session and, as
// a control, without one: the same bytes of the same program.
#pragma once

#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace bpfwarden::test {

using Words = std::vector<std::string>;
using Act = std::function<std::string(const Words&)>;

inline std::map<std::string, Act>& acts() {
    static std::map<std::string, Act> all;
    return all;
}
struct AddAct {
    AddAct(const char* name, Act act) { acts().emplace(name, std::move(act)); }
};
// Of a body that returns a text, with `args` its arguments.
#define BW_ACT(name, title)                                                                \
    static std::string act_##name(const ::bpfwarden::test::Words&);                        \
    [[maybe_unused]] static const ::bpfwarden::test::AddAct add_##name(title, act_##name); \
    static std::string act_##name([[maybe_unused]] const ::bpfwarden::test::Words& args)

// A line that the test reads before the end, and one from it.
inline void say_line(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}
inline std::string hear_line() {
    std::string line;
    for (int c; (c = std::getchar()) != EOF && c != '\n';) line += static_cast<char>(c);
    return line;
}

}  // namespace bpfwarden::test
