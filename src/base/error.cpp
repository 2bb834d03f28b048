// SPDX-License-Identifier: Apache-2.0
#include "base/error.hpp"

#include <cerrno>
#include <cstring>

namespace bpfwarden {

static Code code_of(int err) {
    switch (err) {
        case EPERM:
        case EACCES:
            return Code::denied;
        case ENOSYS:
        case EOPNOTSUPP:
            return Code::unsupported;
        case ENOENT:
        case ESRCH:
            return Code::not_found;
        default:
            return Code::failed;
    }
}

Error Error::from_errno(int err, std::string what) {
    Error error(code_of(err), std::move(what));
    error.errno_ = err;
    const char* name = strerrorname_np(err);
    error.why_ = std::string(strerror(err)) + " (" + (name ? name : "errno " + std::to_string(err)) + ")";
    return error;
}

Error&& Error::within(std::string_view context) && {
    what_ = std::string(context) + ": " + what_;
    return std::move(*this);
}

std::string Error::text(std::string_view prefix) const {
    std::string out = std::string(prefix) + ": " + what_;
    if (!why_.empty()) out += "\n  " + why_;
    if (!hint_.empty()) out += "\n  " + hint_;
    return out;
}

}  // namespace bpfwarden
