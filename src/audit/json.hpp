// SPDX-License-Identifier: Apache-2.0
// An event as one line of JSON, and back.
#pragma once

#include <string>
#include <string_view>

#include "audit/event.hpp"
#include "base/result.hpp"

namespace bpfwarden::audit {

// {"time":"…Z","seq":1,"event":"operation","opener":{"uid":1000},…} and no newline. Dots in names become objects, a
// group where its first member stands. Numbers and bools stay what they are.
//
// The line is safe to print, whatever is in the event: in strings, each byte of a control character, of a control of
// text direction, or of what is not UTF-8 is written \xNN (in JSON "\\xNN"). A text that has such four characters
// itself gets its backslash written \x5c, so a reader gets the bytes back.
std::string to_json(const Event& event);

// Any line. What a newer writer may add stays readable: other values become texts of their JSON, null is left out.
Result<Event> from_json(std::string_view line);

}  // namespace bpfwarden::audit
