// SPDX-License-Identifier: Apache-2.0
// A control group that was delegated to nobody, of the pattern in examples/grants, and one beside it that was not.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "kernel/mount.hpp"
#include "root/tools/tool.hpp"

namespace bpfwarden::test {

class Cgroups {
  public:
    Cgroups() {
        const auto mounts = kernel::mount_table().value();
        for (const auto& mount : mounts)
            if (mount.file_system == "cgroup2" && mount.root == "/") root_ = mount.path;
        for (const auto& path : {root_ + "/user.slice", root_ + "/user.slice/user-65534.slice", own(), other()})
            if (::mkdir(path.c_str(), 0755) == 0) made_.push_back(path);
        for (const auto& path : {own(), own() + "/cgroup.procs"}) (void)!::chown(path.c_str(), nobody, nobody);
    }
    ~Cgroups() {
        for (; !made_.empty(); made_.pop_back())
            eventually([&] { return ::rmdir(made_.back().c_str()) == 0 || errno == ENOENT; });
    }
    Cgroups(const Cgroups&) = delete;
    Cgroups& operator=(const Cgroups&) = delete;

    std::string own() const { return root_ + own_name(); }
    std::string other() const { return root_ + "/user.slice/other"; }
    // From the root of the hierarchy.
    static std::string own_name() { return "/user.slice/user-65534.slice/own"; }

  private:
    std::string root_;
    Words made_;
};

}  // namespace bpfwarden::test
