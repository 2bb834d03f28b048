// SPDX-License-Identifier: Apache-2.0
// Any bytes as text that is valid UTF-8 and safe to print, so that the bytes can be had back.
#pragma once

#include <string>
#include <string_view>

namespace bpfwarden::audit {

std::string escape(std::string_view bytes);
std::string unescape(std::string_view text);

}  // namespace bpfwarden::audit
