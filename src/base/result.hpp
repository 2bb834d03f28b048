// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or an Error. Library code returns it and never logs; the program's top prints it once.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <utility>

#include "base/error.hpp"

namespace bpfwarden {

template <class T = void>
using Result = std::expected<T, Error>;

using Failure = std::unexpected<Error>;

inline Failure fail(Error error) { return Failure(std::move(error)); }
inline Failure fail(Code code, std::string what) { return Failure(Error(code, std::move(what))); }
// Call it right after the failing call: it reads errno.
inline Failure fail_errno(std::string what) {
    const int err = errno;
    return Failure(Error::from_errno(err, std::move(what)));
}
inline Failure fail_errno(int err, std::string what) { return Failure(Error::from_errno(err, std::move(what))); }

}  // namespace bpfwarden

// The value of a Result, or an early return of its error. `auto fd = BW_TRY(open_it());`
#define BW_TRY(expr) BW_TRY_NAMED_(expr, , BW_JOIN_(bw_result_, __COUNTER__))

// The same, with what the step was part of put before the message.
#define BW_TRY_WITHIN(expr, context) BW_TRY_NAMED_(expr, .within(context), BW_JOIN_(bw_result_, __COUNTER__))

#define BW_JOIN_(a, b) BW_JOIN2_(a, b)
#define BW_JOIN2_(a, b) a##b
// A statement expression (GNU); the name is unique so that one can stand inside another.
#define BW_TRY_NAMED_(expr, wrap, name)                                    \
    __extension__({                                                        \
        auto&& name = (expr);                                              \
        if (!name) return ::bpfwarden::fail(std::move(name).error() wrap); \
        ::bpfwarden::detail::take(std::move(name));                        \
    })

namespace bpfwarden::detail {
template <class T>
T take(std::expected<T, Error>&& result) {
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace bpfwarden::detail
