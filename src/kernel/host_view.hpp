// SPDX-License-Identifier: Apache-2.0
// What several probes read of this machine, each read at most once.
#pragma once

#include <optional>
#include <vector>

#include "base/result.hpp"
#include "kernel/btf.hpp"
#include "kernel/capability.hpp"
#include "kernel/mount.hpp"
#include "kernel/names.hpp"
#include "kernel/probe.hpp"

namespace bpfwarden::kernel {

class HostView {
  public:
    const Result<Btf>& btf() { return once(btf_, Btf::of_vmlinux); }
    const Result<Names>& names() { return once(names_, Names::of_running_kernel); }
    const Result<std::vector<MountEntry>>& mounts() { return once(mounts_, mount_table); }
    const Result<LsmList>& lsms() { return once(lsms_, active_lsms); }
    const TokenTrial& token() { return once(token_, try_token); }
    const NotifierTrial& notifier() { return once(notifier_, try_notifier); }

  private:
    template <class T, class Make>
    static const T& once(std::optional<T>& kept, Make make) {
        if (!kept) kept.emplace(make());
        return *kept;
    }
    std::optional<Result<Btf>> btf_;
    std::optional<Result<Names>> names_;
    std::optional<Result<std::vector<MountEntry>>> mounts_;
    std::optional<Result<LsmList>> lsms_;
    std::optional<TokenTrial> token_;
    std::optional<NotifierTrial> notifier_;
};

// Does the calling thread hold this capability ("sys_admin") in its own user namespace?
bool has_capability(std::string_view name);

}  // namespace bpfwarden::kernel
