// SPDX-License-Identifier: Apache-2.0
// What `grant init` starts from: complete, commented grants that pass `grant check` as they are.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace bpfwarden::grant {

struct Template {
    std::string_view name;  // "xdp"
    std::string_view what;  // one line
    std::string_view text;  // with @NAME@ and @SUBJECT@
};
std::span<const Template> all_templates();

// `user` empty: root only, with a line that shows how to change that. Errors are usage: no such template, a name or
// user that a grant cannot have.
Result<std::string> fill_template(std::string_view name, std::string_view grant_name, std::string_view user);

}  // namespace bpfwarden::grant
