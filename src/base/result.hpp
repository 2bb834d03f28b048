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
#define BW_TRY(expr)                                                              \
    __extension__({                                                               \
        auto&& bw_result_ = (expr);                                               \
        if (!bw_result_) return ::bpfwarden::fail(std::move(bw_result_).error()); \
        ::bpfwarden::detail::take(std::move(bw_result_));                         \
    })

// The same, with what the step was part of put before the message.
#define BW_TRY_WITHIN(expr, context)                                                              \
    __extension__({                                                                               \
        auto&& bw_result_ = (expr);                                                               \
        if (!bw_result_) return ::bpfwarden::fail(std::move(bw_result_).error().within(context)); \
        ::bpfwarden::detail::take(std::move(bw_result_));                                         \
    })

namespace bpfwarden::detail {
template <class T>
T take(std::expected<T, Error>&& result) {
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace bpfwarden::detail
