// SPDX-License-Identifier: Apache-2.0
// A light reader of BTF, for the few questions asked of the running kernel: the members of an enum, whether a function
// or a field exists. One pass over the blob and nothing kept: libbpf's btf__parse() also builds an index of every type,
// which costs several times as much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::kernel {

struct Enumerator {
    std::string_view name;
    std::uint64_t value = 0;
};

class Btf {
  public:
    // What the running kernel says about itself: /sys/kernel/btf/vmlinux.
    static Result<Btf> of_vmlinux();
    // Any blob in the byte order of this machine; refuses one whose sections do not fit in it.
    static Result<Btf> from_bytes(std::vector<std::byte> bytes);

    // The members of `enum name`, in the order of its definition; empty when there is no such enum.
    // Views into this object, as everything below that returns string_view.
    std::vector<Enumerator> enumerators(std::string_view name) const;
    // The same for several enums in one pass.
    std::vector<std::vector<Enumerator>> enumerators(std::span<const std::string_view> names) const;
    struct Function {
        std::uint32_t id = 0;  // its type id, 0: there is no such function
        bool kfunc = false;    // marked as one that BPF programs may call
    };
    std::vector<Function> functions(std::span<const std::string_view> names) const;
    Function function(std::string_view name) const { return functions({&name, 1}).front(); }
    // Whether kfuncs are marked at all in this blob: it takes pahole 1.26 (Debian's 6.12 for bookworm has no marks,
    // its 7.2 has). Without marks a static function of the same name cannot be told from a kfunc.
    bool marks_kfuncs() const;
    // Is there a struct or union of that name with a member of that name (at its top level)?
    bool has_member(std::string_view aggregate, std::string_view member) const;

  private:
    Btf() = default;
    static Result<Btf> from_owned(std::span<const std::byte> all, std::shared_ptr<const void> owner);
    struct Type;
    template <class Visit>
    void each_type(Visit visit) const;  // until visit(type) is false
    bool is_named(std::uint32_t offset, std::string_view name) const;
    std::string_view string_at(std::uint32_t offset) const;

    std::shared_ptr<const void> owner_;  // of what the two views show
    std::span<const std::byte> types_;
    std::string_view strings_;
};

}  // namespace bpfwarden::kernel
