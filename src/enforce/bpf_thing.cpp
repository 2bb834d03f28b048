// SPDX-License-Identifier: Apache-2.0
#include "enforce/bpf_thing.hpp"

#include <bpf/bpf.h>
#include <unistd.h>

#include <charconv>
#include <set>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden::enforce {

std::string_view kind_name(bw_sealed_kind kind) {
    switch (kind) {
        case BW_SEALED_PROG:
            return "prog";
        case BW_SEALED_MAP:
            return "map";
        case BW_SEALED_LINK:
            return "link";
    }
    return "?";
}

std::string name_of(BpfThing thing) { return fmt::format("{}:{}", kind_name(thing.kind), thing.id); }

Result<BpfThing> thing_named(std::string_view text) {
    const auto colon = text.find(':');
    for (const auto kind : {BW_SEALED_PROG, BW_SEALED_MAP, BW_SEALED_LINK}) {
        if (text.substr(0, colon) != kind_name(kind) || colon == text.npos) continue;
        std::uint32_t id = 0;
        const auto* end = text.data() + text.size();
        if (const auto [at, error] = std::from_chars(text.data() + colon + 1, end, id);
            error == std::errc() && at == end && id)
            return BpfThing{kind, id};
    }
    return fail(Error(Code::usage, fmt::format("{} names no object", quoted(text)))
                    .because("an object is written as KIND:ID, with prog, map or link for a kind")
                    .advise("bpftool prog show, map show and link show print the ids: prog:12"));
}

Result<UniqueFd> open_pin(const std::string& path) {
    UniqueFd fd(::bpf_obj_get(path.c_str()));
    if (!fd) return fail_errno(fmt::format("cannot open the pin {}", path));
    return fd;
}

Result<UniqueFd> open_thing(BpfThing thing) {
    UniqueFd fd(thing.kind == BW_SEALED_PROG  ? ::bpf_prog_get_fd_by_id(thing.id)
                : thing.kind == BW_SEALED_MAP ? ::bpf_map_get_fd_by_id(thing.id)
                                              : ::bpf_link_get_fd_by_id(thing.id));
    if (!fd) return fail_errno(fmt::format("cannot open {}", name_of(thing)));
    return fd;
}

// The kernel's own name for the file: an fd of one kind is taken for none of the others.
static Result<bw_sealed_kind> kind_of(FdRef fd) {
    char text[64];
    const auto length = ::readlink(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), text, sizeof text);
    const std::string_view name(text, length > 0 ? static_cast<std::size_t>(length) : 0);
    if (name == "anon_inode:bpf-prog") return BW_SEALED_PROG;
    if (name == "anon_inode:bpf-map") return BW_SEALED_MAP;
    if (name == "anon_inode:bpf_link" || name == "anon_inode:bpf-link") return BW_SEALED_LINK;
    return fail(Error(Code::bad_input, fmt::format("{} is no program, map or link", quoted(name))));
}

template <class Info>
static Result<Info> info_of(FdRef fd, Info info = {}) {
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(fd.get(), &info, &size)) return fail_errno("cannot ask about an object of bpf()");
    return info;
}

Result<BpfThing> what_is(FdRef fd) {
    const auto kind = BW_TRY(kind_of(fd));
    switch (kind) {
        case BW_SEALED_PROG:
            return BpfThing{kind, BW_TRY(info_of<bpf_prog_info>(fd)).id};
        case BW_SEALED_MAP:
            return BpfThing{kind, BW_TRY(info_of<bpf_map_info>(fd)).id};
        case BW_SEALED_LINK:
            return BpfThing{kind, BW_TRY(info_of<bpf_link_info>(fd)).id};
    }
    return fail(Error(Code::failed, "an object of bpf() of an unknown kind"));
}

Result<std::string> name_in_kernel(FdRef fd) {
    if (BW_TRY(kind_of(fd)) == BW_SEALED_MAP) return std::string(BW_TRY(info_of<bpf_map_info>(fd)).name);
    return std::string(BW_TRY(info_of<bpf_prog_info>(fd)).name);
}

Result<bool> is_detachable(FdRef link) {
    const auto type = BW_TRY(info_of<bpf_link_info>(link)).type;
    // Trampolines, perf events and iterators have no such operation.
    return type != BPF_LINK_TYPE_TRACING && type != BPF_LINK_TYPE_RAW_TRACEPOINT && type != BPF_LINK_TYPE_PERF_EVENT &&
           type != BPF_LINK_TYPE_ITER;
}

static Result<> add(FdRef fd, std::set<BpfThing>& found);

static Result<> add_by_id(BpfThing thing, std::set<BpfThing>& found) {
    const auto fd = BW_TRY(open_thing(thing));
    return add(fd, found);
}

static Result<> add(FdRef fd, std::set<BpfThing>& found) {
    const auto thing = BW_TRY(what_is(fd));
    if (!found.insert(thing).second) return {};
    if (thing.kind == BW_SEALED_LINK)
        return add_by_id({BW_SEALED_PROG, BW_TRY(info_of<bpf_link_info>(fd)).prog_id}, found);
    if (thing.kind == BW_SEALED_PROG) {
        std::vector<__u32> maps(BW_TRY(info_of<bpf_prog_info>(fd)).nr_map_ids);
        bpf_prog_info info{};
        info.nr_map_ids = static_cast<__u32>(maps.size());
        info.map_ids = reinterpret_cast<__u64>(maps.data());
        BW_TRY(info_of(fd, info));
        for (const auto id : maps) BW_TRY(add_by_id({BW_SEALED_MAP, id}, found));
        return {};
    }
    const auto info = BW_TRY(info_of<bpf_map_info>(fd));
    if (info.type != BPF_MAP_TYPE_ARRAY_OF_MAPS && info.type != BPF_MAP_TYPE_HASH_OF_MAPS) return {};
    std::string key(info.key_size, 0), next(info.key_size, 0);
    for (bool first = true; !::bpf_map_get_next_key(fd.get(), first ? nullptr : key.data(), next.data());
         first = false) {
        key = next;
        __u32 id = 0;
        if (!::bpf_map_lookup_elem(fd.get(), key.data(), &id)) BW_TRY(add_by_id({BW_SEALED_MAP, id}, found));
    }
    return {};
}

Result<std::vector<BpfThing>> with_what_it_needs(FdRef fd) {
    std::set<BpfThing> found;
    BW_TRY(add(fd, found));
    return std::vector(found.begin(), found.end());
}

}  // namespace bpfwarden::enforce
