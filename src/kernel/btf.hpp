// SPDX-License-Identifier: Apache-2.0
// A light reader of BTF, for the few questions asked of the running kernel: the members of an enum, whether a function
// or a field exists. One pass over the blob and nothing kept: libbpf's btf__parse() also builds an index of every type,
// which costs several times as much. Who looks up many types by number keeps a BtfIndex.
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
    friend class BtfIndex;
    Btf() = default;
    static Result<Btf> from_owned(std::span<const std::byte> all, std::shared_ptr<const void> owner,
                                  bool may_lack_strings = false);
    struct Type;
    template <class Visit>
    void each_type(Visit visit) const;  // until visit(type) is false
    bool is_named(std::uint32_t offset, std::string_view name) const;
    std::string_view string_at(std::uint32_t offset) const;

    std::shared_ptr<const void> owner_;  // of what the two views show
    std::span<const std::byte> types_;
    std::string_view strings_;
};

// BTF's own numbers; those that are asked for have a name.
enum class BtfKind : std::uint8_t { none = 0, structure = 4, type_def = 8, func = 12, var = 14 };

// The types of a BTF blob by number. It is not changed once it is made, so it can be made before fork() and shared.
class BtfIndex {
  public:
    explicit BtfIndex(Btf btf);
    // Of a module: its types and strings go on where those of the base (vmlinux) end.
    static Result<BtfIndex> of_module(std::vector<std::byte> bytes, std::shared_ptr<const BtfIndex> base);

    struct Type {
        BtfKind kind = BtfKind::none;
        std::string_view name;     // empty: it has none
        std::uint32_t target = 0;  // the type it refers to, of kinds that refer to one
    };
    // Kind `none` for a number that there is not: 0 (void), one past the last, one after a kind that is not known here.
    Type type(std::uint32_t id) const;
    // The name of a type that must be of that kind, else empty.
    std::string_view name(std::uint32_t id, BtfKind kind) const;
    // The number of the first type of that kind and name, also in the base; 0: there is none. A pass over all types.
    std::uint32_t find(BtfKind kind, std::string_view name) const;
    // One past the last number.
    std::uint32_t end() const { return first_ + static_cast<std::uint32_t>(offsets_.size()); }

  private:
    BtfIndex(Btf btf, std::shared_ptr<const BtfIndex> base);
    std::string_view string_at(std::uint32_t offset) const;
    std::size_t strings_size() const { return (base_ ? base_->strings_size() : 0) + btf_.strings_.size(); }

    Btf btf_;
    std::shared_ptr<const BtfIndex> base_;
    std::uint32_t first_ = 1;             // the number of the first type
    std::vector<std::uint32_t> offsets_;  // of each type in btf_.types_
};

}  // namespace bpfwarden::kernel
