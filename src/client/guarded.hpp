// SPDX-License-Identifier: Apache-2.0
// What every C function of the library is in: nothing but a thread's cancellation leaves it as an exception.
#pragma once

#include <cxxabi.h>

#include <cerrno>
#include <new>
#include <utility>

#include "client/last_error.hpp"

namespace bpfwarden::client {

// The value of what `call` gives, or `failed` with errno and bpfw_error().
template <class T, class Call>
T guarded(T failed, Call call) {
    try {
        auto result = call();
        if (result) return std::move(*result);
        record(result.error());
    } catch (abi::__forced_unwind&) {
        throw;  // pthread_cancel(): what the call held is closed on the way
    } catch (const std::bad_alloc&) {
        record_later(no_command, ENOMEM);
    } catch (...) {
        record_later(no_command, EIO);
    }
    return failed;
}

}  // namespace bpfwarden::client
