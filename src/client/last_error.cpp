// SPDX-License-Identifier: Apache-2.0
#include "client/last_error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "wire/commands.hpp"

namespace bpfwarden::client {

namespace {

struct Said {
    std::array<char, 2048> text;
    std::array<char, 128> key;
    std::array<char, 512> line;
    unsigned command;
    int number;
    bool later;    // text is still to be made, from command and number
    bool refusal;  // key and line are of the error that is on its way to record()
};
// No constructor and no destructor: it is there in a thread's first and last moment.
constinit thread_local Said said{};

template <std::size_t N>
void put(std::array<char, N>& to, std::string_view text) {
    auto length = std::min(text.size(), N - 1);
    // A letter is not cut in two.
    if (length < text.size())
        while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
    std::memcpy(to.data(), text.data(), length);
    to[length] = '\0';
}

}  // namespace

void record(const Error& error) {
    if (!said.refusal) {
        said.key[0] = '\0';
        said.line[0] = '\0';
    }
    said.refusal = false;
    said.later = false;
    std::string text = error.what();
    for (const auto* part : {&error.why(), &error.hint()})
        if (!part->empty()) text += "\n  " + *part;
    put(said.text, text);
    errno = error.number() > 0 ? error.number() : EIO;
}

void record_later(unsigned command, int number) {
    said.key[0] = '\0';
    said.line[0] = '\0';
    said.refusal = false;
    said.later = true;
    said.command = command;
    said.number = number;
    errno = number;
}

Error refused(std::string_view operation, const wire::Refusal& refusal) {
    put(said.key, refusal.key);
    put(said.line, refusal.line);
    said.refusal = true;
    auto error = Error::from_errno(refusal.error, std::string(operation) + ": refused by the session's grant")
                     .because(refusal.reason);
    if (refusal.key.empty()) return error;
    return std::move(error).advise(refusal.key + (refusal.line.empty() ? "" : " at ") + refusal.line + " decides that");
}

const char* last_text() {
    if (said.later) {
        const int before = errno;
        try {
            const std::string what =
                said.command == no_command ? "libbpfwarden" : std::string(wire::command_name(said.command));
            record(
                Error::from_errno(said.number, what + (said.command == no_command ? "" : ": the kernel refused it")));
        } catch (...) {
            put(said.text, "the kernel refused it");
            said.later = false;
        }
        errno = before;
    }
    return said.text.data();
}
const char* last_key() { return said.key.data(); }
const char* last_line() { return said.line.data(); }

}  // namespace bpfwarden::client
