// SPDX-License-Identifier: Apache-2.0
// What bpfw_error() says: of each thread the last failure, in memory of its own, so that saying it cannot fail and
// nobody has to free it.
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "wire/bpf_call.hpp"

namespace bpfwarden::client {

// The error that ends the call: sets errno too.
void record(const Error& error);
// A call of the kernel's that failed, in words only when somebody asks: a map lookup that finds nothing is no event.
inline constexpr unsigned no_command = ~0U;
void record_later(unsigned command, int number);
// The refusal as an error; its key and line are kept for the record() that follows.
Error refused(std::string_view operation, const wire::Refusal& refusal);

const char* last_text();
const char* last_key();
const char* last_line();

}  // namespace bpfwarden::client
