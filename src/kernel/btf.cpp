// SPDX-License-Identifier: Apache-2.0
#include "kernel/btf.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "base/fd.hpp"

namespace bpfwarden::kernel {

// Documentation/bpf/btf.rst. Kinds are only ever added, and a kind that is not known here ends a pass (its length is
// unknown): the answer is then what was found up to there, and the caller sees an enum or function as absent.
namespace {

enum Kind : std::uint32_t {
    kind_int = 1,
    kind_ptr,
    kind_array,
    kind_struct,
    kind_union,
    kind_enum,
    kind_fwd,
    kind_typedef,
    kind_volatile,
    kind_const,
    kind_restrict,
    kind_func,
    kind_func_proto,
    kind_var,
    kind_datasec,
    kind_float,
    kind_decl_tag,
    kind_type_tag,
    kind_enum64,
};

struct Header {
    std::uint16_t magic;
    std::uint8_t version, flags;
    std::uint32_t hdr_len, type_off, type_len, str_off, str_len;
};
constexpr std::uint16_t btf_magic = 0xeb9f;

struct TypeHead {
    std::uint32_t name_off, info, size_or_type;
};

template <class T>
T read_at(std::span<const std::byte> bytes, std::size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

// 7 bits of kind and 24 of members from 7.2 on; before, 5 and 16, and the others had to be zero.
constexpr std::uint32_t kind_of(std::uint32_t info) { return info >> 24 & 0x7f; }
constexpr std::size_t vlen_of(std::uint32_t info) { return info & 0xffffff; }

// How many bytes follow the head of a type; nullopt for an unknown kind.
std::optional<std::size_t> tail_size(std::uint32_t kind, std::size_t vlen) {
    switch (kind) {
        case kind_ptr:
        case kind_fwd:
        case kind_typedef:
        case kind_volatile:
        case kind_const:
        case kind_restrict:
        case kind_func:
        case kind_float:
        case kind_type_tag:
            return 0;
        case kind_int:
        case kind_var:
        case kind_decl_tag:
            return 4;
        case kind_array:
            return 12;
        case kind_enum:
        case kind_func_proto:
            return vlen * 8;
        case kind_struct:
        case kind_union:
        case kind_datasec:
        case kind_enum64:
            return vlen * 12;
        default:
            return std::nullopt;
    }
}

}  // namespace

struct Btf::Type {
    std::uint32_t id;
    std::uint32_t at;  // where in the section it begins
    std::uint32_t kind;
    std::uint32_t target;             // the type it refers to, for kinds that refer to one
    std::uint32_t name;               // offset of its name
    std::size_t vlen;                 // members
    std::span<const std::byte> tail;  // the members
};

template <class Visit>
void Btf::each_type(Visit visit) const {
    std::uint32_t id = 0;  // 0 is void, which is not written down
    for (std::size_t at = 0; at + sizeof(TypeHead) <= types_.size();) {
        const auto head = read_at<TypeHead>(types_, at);
        const std::uint32_t kind = kind_of(head.info);
        const std::size_t vlen = vlen_of(head.info);
        const auto begin = static_cast<std::uint32_t>(at);  // the section is of less than 4 GiB
        at += sizeof(TypeHead);
        const auto tail = tail_size(kind, vlen);
        if (!tail || *tail > types_.size() - at) return;
        if (!visit(Type{++id, begin, kind, head.size_or_type, head.name_off, vlen, types_.subspan(at, *tail)})) return;
        at += *tail;
    }
}

// Without measuring the other string: most differ in their first byte.
bool Btf::is_named(std::uint32_t offset, std::string_view name) const {
    return offset < strings_.size() && strings_.size() - offset > name.size() &&
           strings_[offset + name.size()] == '\0' && strings_.substr(offset, name.size()) == name;
}

std::string_view Btf::string_at(std::uint32_t offset) const {
    // The section is known to end with a NUL.
    return offset < strings_.size() ? std::string_view(strings_.data() + offset) : std::string_view{};
}

Result<Btf> Btf::from_owned(std::span<const std::byte> all, std::shared_ptr<const void> owner, bool may_lack_strings) {
    Btf btf;
    btf.owner_ = std::move(owner);
    if (all.size() < sizeof(Header)) return fail(Code::bad_input, "BTF: shorter than its header");
    const auto header = read_at<Header>(all, 0);
    if (header.magic != btf_magic) return fail(Code::bad_input, "BTF: wrong magic number");
    const auto section = [&](std::uint32_t offset, std::uint32_t length) -> std::optional<std::span<const std::byte>> {
        const std::uint64_t begin = std::uint64_t{header.hdr_len} + offset;
        if (begin + length > all.size()) return std::nullopt;
        return all.subspan(begin, length);
    };
    const auto types = section(header.type_off, header.type_len);
    const auto strings = section(header.str_off, header.str_len);
    if (!types || !strings || (strings->empty() ? !may_lack_strings : strings->back() != std::byte{0}))
        return fail(Code::bad_input, "BTF: a section does not fit in the file");
    btf.types_ = *types;
    btf.strings_ = {reinterpret_cast<const char*>(strings->data()), strings->size()};
    return btf;
}

Result<Btf> Btf::from_bytes(std::vector<std::byte> bytes) {
    const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    return from_owned(*owner, owner);
}

Result<Btf> Btf::of_vmlinux() {
    static constexpr const char* path = "/sys/kernel/btf/vmlinux";
    const UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
    struct stat about{};
    if (!file || fstat(file.get(), &about) != 0) {
        const int err = errno;
        return fail(Error::from_errno(err, fmt::format("cannot read the kernel's type information, {}", path))
                        .advise("the kernel must be built with CONFIG_DEBUG_INFO_BTF=y, and sysfs be mounted"));
    }
    const auto size = static_cast<std::size_t>(about.st_size);
    // The file can be mapped from 6.16 on; 0.3 ms instead of 2 ms for reading its 5 MB (measured on 6.18).
    if (void* const map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file.get(), 0);
        map != MAP_FAILED) {
        std::shared_ptr<const void> owner(map, [size](void* address) { munmap(address, size); });
        return from_owned({static_cast<const std::byte*>(map), size}, std::move(owner));
    }
    const std::shared_ptr<std::byte[]> bytes = std::make_unique_for_overwrite<std::byte[]>(size);
    std::size_t have = 0;
    while (have < size) {
        const ssize_t got = read(file.get(), bytes.get() + have, size - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(fmt::format("reading {}", path));
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    return from_owned({bytes.get(), have}, bytes);
}

std::vector<std::vector<Enumerator>> Btf::enumerators(std::span<const std::string_view> names) const {
    std::vector<std::vector<Enumerator>> found(names.size());
    each_type([&](const Type& type) {
        if (type.kind != kind_enum && type.kind != kind_enum64) return true;
        const auto which = std::ranges::find(names, string_at(type.name));
        if (which == names.end()) return true;
        auto& list = found[static_cast<std::size_t>(which - names.begin())];
        if (!list.empty()) return true;  // the first definition of a name wins
        const std::size_t size = type.kind == kind_enum ? 8 : 12;
        for (std::size_t i = 0; i < type.vlen; ++i) {
            const auto at = i * size;
            std::uint64_t value = read_at<std::uint32_t>(type.tail, at + 4);
            if (type.kind == kind_enum64) value |= std::uint64_t{read_at<std::uint32_t>(type.tail, at + 8)} << 32;
            list.push_back({string_at(read_at<std::uint32_t>(type.tail, at)), value});
        }
        return true;
    });
    return found;
}

std::vector<Enumerator> Btf::enumerators(std::string_view name) const {
    return std::move(enumerators(std::span(&name, 1)).front());
}

static constexpr std::string_view kfunc_mark = "bpf_kfunc";

// Marks refer to functions by id, and may come before them: the kernel's BTF is sorted by name (seen on 7.2).
std::vector<Btf::Function> Btf::functions(std::span<const std::string_view> names) const {
    std::vector<Function> found(names.size());
    std::vector<std::uint32_t> marked;
    each_type([&](const Type& type) {
        if (type.kind == kind_func) {
            for (std::size_t i = 0; i < names.size(); ++i)
                if (found[i].id == 0 && is_named(type.name, names[i])) found[i].id = type.id;
        } else if (type.kind == kind_decl_tag && is_named(type.name, kfunc_mark)) {
            marked.push_back(type.target);
        }
        return true;
    });
    for (auto& function : found) function.kfunc = std::ranges::find(marked, function.id) != marked.end();
    return found;
}

bool Btf::marks_kfuncs() const {
    bool found = false;
    each_type([&](const Type& type) {
        found = type.kind == kind_decl_tag && is_named(type.name, kfunc_mark);
        return !found;
    });
    return found;
}

bool Btf::has_member(std::string_view aggregate, std::string_view member) const {
    bool found = false;
    each_type([&](const Type& type) {
        if ((type.kind != kind_struct && type.kind != kind_union) || !is_named(type.name, aggregate)) return true;
        for (std::size_t i = 0; i < type.vlen && !found; ++i)
            found = is_named(read_at<std::uint32_t>(type.tail, i * 12), member);
        return !found;
    });
    return found;
}

BtfIndex::BtfIndex(Btf btf) : BtfIndex(std::move(btf), nullptr) {}

BtfIndex::BtfIndex(Btf btf, std::shared_ptr<const BtfIndex> base) : btf_(std::move(btf)), base_(std::move(base)) {
    if (base_) first_ = base_->end();
    // vmlinux has a type every 22 bytes (6.18: 5 MB of types); what is too much was never touched.
    offsets_.reserve(btf_.types_.size() / 16 + 1);
    btf_.each_type([&](const Btf::Type& type) {
        offsets_.push_back(type.at);
        return true;
    });
    offsets_.shrink_to_fit();
}

Result<BtfIndex> BtfIndex::of_module(std::vector<std::byte> bytes, std::shared_ptr<const BtfIndex> base) {
    const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    // A module may have no strings of its own.
    return BtfIndex(BW_TRY(Btf::from_owned(*owner, owner, true)), std::move(base));
}

std::string_view BtfIndex::string_at(std::uint32_t offset) const {
    if (!base_) return btf_.string_at(offset);
    const std::size_t own = base_->strings_size();
    return offset < own ? base_->string_at(offset) : btf_.string_at(static_cast<std::uint32_t>(offset - own));
}

// Soundness: the name decides whether a kfunc or an attach target is granted, so it must be the one that the kernel
// means by the number. It numbers the types of a blob in their order, from 1 or after the base's last, as each_type().
BtfIndex::Type BtfIndex::type(std::uint32_t id) const {
    if (id < first_) return base_ ? base_->type(id) : Type{};
    if (id >= end()) return {};
    const auto head = read_at<TypeHead>(btf_.types_, offsets_[id - first_]);
    return {static_cast<BtfKind>(kind_of(head.info)), string_at(head.name_off), head.size_or_type};
}

std::string_view BtfIndex::name(std::uint32_t id, BtfKind kind) const {
    const auto found = type(id);
    return found.kind == kind ? found.name : std::string_view{};
}

std::uint32_t BtfIndex::find(BtfKind kind, std::string_view name) const {
    if (base_)
        if (const auto found = base_->find(kind, name)) return found;
    for (std::uint32_t i = 0; i < offsets_.size(); ++i) {
        const auto head = read_at<TypeHead>(btf_.types_, offsets_[i]);
        if (static_cast<BtfKind>(kind_of(head.info)) == kind && string_at(head.name_off) == name) return first_ + i;
    }
    return 0;
}

}  // namespace bpfwarden::kernel
