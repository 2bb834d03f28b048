// SPDX-License-Identifier: Apache-2.0
// What went wrong, in the three parts a person needs: what, why, and what to do about it.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace bpfwarden {

// A closed list: each code is one exit status of the command line (docs/cli.md, bpfwarden(1)).
enum class Code {
    failed = 1,       // the operation was tried and failed, or a check said no
    usage = 2,        // the caller asked for something that has no meaning
    unsupported = 3,  // this kernel or machine lacks it
    denied = 4,       // not permitted
    not_found = 5,    //
    bad_input = 6,    // a file we were given is wrong
    no_daemon = 7,    //
};

class Error {
  public:
    Error(Code code, std::string what) : code_(code), what_(std::move(what)) {}

    // `what` failed with `err`; the errno's text becomes the reason.
    static Error from_errno(int err, std::string what);

    Error&& because(std::string why) && {
        why_ = std::move(why);
        return std::move(*this);
    }
    Error&& advise(std::string hint) && {
        hint_ = std::move(hint);
        return std::move(*this);
    }
    Error&& with_code(Code code) && {
        code_ = code;
        return std::move(*this);
    }
    // Says what the failing step was part of: "mounting /sys/fs/bpf: fsopen: …".
    Error&& within(std::string_view context) &&;

    Code code() const { return code_; }
    // The errno behind the error, 0 when there is none.
    int number() const { return errno_; }
    const std::string& what() const { return what_; }
    const std::string& why() const { return why_; }
    const std::string& hint() const { return hint_; }

    // Up to three lines, "PREFIX: what", "  why", "  hint"; no newline at the end.
    std::string text(std::string_view prefix) const;

  private:
    Code code_;
    int errno_ = 0;
    std::string what_;
    std::string why_;
    std::string hint_;
};

}  // namespace bpfwarden
