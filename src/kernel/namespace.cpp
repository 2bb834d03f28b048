// SPDX-License-Identifier: Apache-2.0
#include "kernel/namespace.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>

namespace bpfwarden::kernel {

Result<> unshare(int flags) {
    if (::unshare(flags) != 0) return fail_errno("unshare");
    return {};
}

Result<> join_namespaces(PidRef process, int flags) {
    if (::setns(process.get(), flags) != 0) return fail_errno("setns");
    return {};
}

Result<NamespaceId> own_namespace(const char* name) {
    const UniqueFd self(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!self) return fail_errno("opening /proc/self");
    return namespace_of(self, name);
}

Result<NamespaceId> namespace_of(FdRef proc_directory, const char* name) {
    struct stat info{};
    const std::string path = std::string("ns/") + name;
    if (::fstatat(proc_directory.get(), path.c_str(), &info, 0) != 0) return fail_errno("reading " + path);
    return NamespaceId{info.st_dev, info.st_ino};
}

Result<std::string> identity_map(std::vector<std::uint32_t> ids) {
    std::ranges::sort(ids);
    const auto [first, last] = std::ranges::unique(ids);
    ids.erase(first, last);
    std::string map;
    std::size_t lines = 0;
    for (std::size_t i = 0, n; i < ids.size(); i += n, ++lines) {
        for (n = 1; i + n < ids.size() && ids[i + n] == ids[i] + n;) ++n;
        map += fmt::format("{} {} {}\n", ids[i], ids[i], n);
    }
    if (lines > 340)
        return fail(Error(Code::failed, fmt::format("the ids need {} mapping lines", lines))
                        .because("a user namespace takes at most 340")
                        .advise("run as a user who is a member of fewer groups"));
    return map;
}

}  // namespace bpfwarden::kernel
