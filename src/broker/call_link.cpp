// SPDX-License-Identifier: Apache-2.0
// Attaching: BPF_LINK_CREATE, BPF_RAW_TRACEPOINT_OPEN, BPF_PROG_ATTACH and what follows them. Everything is attached by
// a link, and the link is held here, so that closing it ends it at once.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "broker/call_state.hpp"
#include "grant/facts.hpp"

namespace bpfwarden::broker {

namespace {

using kernel::NameKind;

bool not_in_session(CallState& state) {
    return state.refused(EPERM, "session", "", "the program was not loaded in this session");
}

std::shared_ptr<Program> program_of(CallState& state, std::uint32_t index) {
    auto program = state.program(index);
    if (program == nullptr) {
        if (index == wire::no_fd)
            state.failed(EBADF);
        else
            not_in_session(state);
    }
    return program;
}

bool own_network(int fd) {
    struct stat given{}, own{};
    return ::fstat(fd, &given) == 0 && ::stat("/proc/self/ns/net", &own) == 0 && given.st_ino == own.st_ino &&
           given.st_dev == own.st_dev;
}

// The cgroup behind a fd of the call; its path becomes a target of `attach`.
bool add_cgroup(CallState& state, int fd, grant::Attach& attach, std::uint64_t* inode = nullptr) {
    if (fd < 0) return state.failed(EBADF);
    if (!state.session.machine.cgroups)
        return state.refused(EOPNOTSUPP, "session", "", "this machine has no cgroup2 hierarchy");
    const auto cgroup = state.session.cgroups.of(FdRef(fd), *state.session.machine.cgroups);
    if (!cgroup) return state.failed(cgroup.error().number() != 0 ? cgroup.error().number() : EBADF);
    attach.targets.emplace_back(grant::Target::cgroups, cgroup->path);
    state.out.target = cgroup->path;
    if (inode != nullptr) *inode = cgroup->inode;
    return true;
}

bool add_interface(CallState& state, std::uint32_t index, grant::Attach& attach) {
    auto name = interface_name(index);
    if (!name) return state.failed(name.error().number());
    state.out.target = *name;
    attach.targets.emplace_back(grant::Target::interfaces, std::move(*name));
    return true;
}

// What the link goes to, as the fields of the call say, and those fields with our own numbers in them.
bool resolve(CallState& state, const Program& program, grant::Attach& attach) {
    auto& link = state.attr().link_create;
    const auto to = grant::attaches_to(attach.type);
    const int target =
        state.fd(link.target_fd == wire::no_fd || !state.has_fd(link.target_fd) ? wire::no_fd : link.target_fd);
    switch (to) {
        case grant::AttachTo::cgroup:
            if (!add_cgroup(state, target, attach)) return false;
            link.target_fd = static_cast<std::uint32_t>(target);
            return true;
        case grant::AttachTo::interface:
            return add_interface(state, link.target_ifindex, attach);
        case grant::AttachTo::perf_event: {
            if (target < 0) return state.failed(EBADF);
            const auto id = perf_event_id(FdRef(target));
            if (!id) return state.failed(EBADF);
            if (!state.session.perf_events.contains(*id))
                return state.refused(EPERM, "session", "", "the perf event was not opened in this session");
            link.target_fd = static_cast<std::uint32_t>(target);
            return true;
        }
        case grant::AttachTo::tracepoint:
            if (!program.target.empty()) attach.targets.emplace_back(grant::Target::tracepoints, program.target);
            break;
        case grant::AttachTo::function:
            if (attach.type == "trace_iter" && link.iter_info_len != 0)
                return state.refused(EOPNOTSUPP, "session", "",
                                     "iterators over one object are not made through a session");
            for (const auto& symbol : state.call.texts) attach.targets.emplace_back(grant::Target::functions, symbol);
            if (attach.type.starts_with("trace_kprobe_")) {
                if (link.kprobe_multi.addrs != 0 || state.call.texts.empty())
                    return state.refused(EPERM, "targets.functions", "",
                                         "functions are attached to by name through a session, not by address");
                return true;
            }
            if (!program.target.empty()) attach.targets.emplace_back(grant::Target::functions, program.target);
            break;
        case grant::AttachTo::uprobe:
            return state.refused(EOPNOTSUPP, "session", "",
                                 "uprobe_multi does not go through a session: open the uprobe as a perf event");
        case grant::AttachTo::network:
            if (attach.type == "netfilter") return true;
            if (target < 0) return state.failed(EBADF);
            if (!own_network(target))
                return state.refused(EPERM, "session", "", "the fd is not the session's network namespace");
            link.target_fd = static_cast<std::uint32_t>(target);
            return true;
        case grant::AttachTo::other:
            if (attach.type.starts_with("sk_skb") || attach.type == "sk_msg_verdict") {
                std::string type;
                if (target < 0 || !state.own_map(target, type)) return target < 0 ? state.failed(EBADF) : false;
                link.target_fd = static_cast<std::uint32_t>(target);
                return true;
            }
            return state.refused(EOPNOTSUPP, "session", "",
                                 fmt::format("{} programs are not attached through a session", program.type));
    }
    // Programs that were tied to their target when they were loaded, and may name another program as it.
    if (target >= 0) {
        const auto host = state.program(link.target_fd);
        if (!host)
            return state.refused(EPERM, "session", "", "only a program of this session can be the target of another");
        link.target_fd = static_cast<std::uint32_t>(host->fd.get());
    } else {
        link.target_fd = 0;
    }
    return true;
}

// 6.6, and for cgroups 6.17: before or after all others, or another program or link.
bool sets_order(const bpf_attr& attr, grant::AttachTo to) {
    if (to != grant::AttachTo::cgroup && to != grant::AttachTo::interface) return false;
    // XDP has flags of its own (XDP_FLAGS_*), in the same field.
    const bool own_flags = attr.link_create.attach_type == BPF_XDP;
    return attr.link_create.target_btf_id != 0 || (!own_flags && attr.link_create.flags != 0);
}

// Keeps the new link and gives its stand-in to the client, or nothing for BPF_PROG_ATTACH.
std::shared_ptr<Link> keep_link(CallState& state, int fd, grant::Attach attach) {
    auto& ledger = state.session.ledger;
    std::shared_ptr<Link> link(new Link{LinkFd(fd), {}, std::move(attach), {}}, [&ledger](Link* gone) {
        delete gone;
        ledger.give_back(Count::links, 1);
    });
    if (state.session.rights.keeps_links()) state.session.objects.keep(link);
    return link;
}

// Judged and resolved: makes the link.
std::shared_ptr<Link> make_link(CallState& state, std::uint32_t command, grant::Attach attach) {
    if (!state.take(Count::links)) return nullptr;
    state.call.point();
    const int fd = state.run(command);
    if (fd < 0) {
        state.session.ledger.give_back(Count::links, 1);
        state.failed(-fd);
        return nullptr;
    }
    return keep_link(state, fd, std::move(attach));
}

void create_struct_ops_link(CallState& state) {
    auto& link = state.attr().link_create;
    std::string type;
    grant::Attach attach{.type = "struct_ops"};
    const int map = state.fd(link.prog_fd);
    if (map < 0) {
        state.failed(EBADF);
        return;
    }
    if (!state.own_map(map, type) || !state.judge(attach)) return;
    link.map_fd = static_cast<std::uint32_t>(map);
    if (auto made = make_link(state, BPF_LINK_CREATE, std::move(attach))) state.hand_out(std::move(made));
}

}  // namespace

void create_link(CallState& state) {
    auto& fields = state.attr().link_create;
    if (fields.attach_type == BPF_STRUCT_OPS) return create_struct_ops_link(state);
    const auto program = program_of(state, fields.prog_fd);
    if (!program) return;
    state.out.program_name = program->name;
    state.out.program_sha256 = program->sha256;
    grant::Attach attach{.type = CallState::name(NameKind::attach_type, fields.attach_type), .program = program->type};
    if (sets_order(state.attr(), grant::attaches_to(attach.type))) {
        state.refused(EOPNOTSUPP, "session", "", "an order among programs is not set through a session");
        return;
    }
    // The kernel takes a program of type ext whatever the attach type says, and its target from another field: judged
    // as what it is, it is attached to a program of this session or not at all.
    if (program->type == "ext") {
        state.refused(EOPNOTSUPP, "session", "", "a program of type ext is not attached through a session");
        return;
    }
    if (!resolve(state, *program, attach) || !state.judge(attach)) return;
    fields.prog_fd = static_cast<std::uint32_t>(program->fd.get());
    const bool at_event = fields.attach_type == BPF_PERF_EVENT;
    if (auto link = make_link(state, BPF_LINK_CREATE, std::move(attach))) {
        if (at_event) link->event = UniqueFd(::fcntl(static_cast<int>(fields.target_fd), F_DUPFD_CLOEXEC, 3));
        state.hand_out(std::move(link));
    }
}

void open_raw_tracepoint(CallState& state) {
    auto& fields = state.attr().raw_tracepoint;
    const auto program = program_of(state, fields.prog_fd);
    if (!program) return;
    state.out.program_name = program->name;
    state.out.program_sha256 = program->sha256;
    grant::Attach attach{.type = program->attach.empty() ? "trace_raw_tp" : program->attach,
                         .program = program->type,
                         .command = "raw_tracepoint_open"};
    const auto& name = state.call.text ? *state.call.text : program->target;
    const auto kind = grant::target_of(grant::attaches_to(attach.type));
    if (!name.empty() && kind) attach.targets.emplace_back(*kind, name);
    state.out.target = name;
    if (!state.judge(attach)) return;
    fields.prog_fd = static_cast<std::uint32_t>(program->fd.get());
    if (auto link = make_link(state, BPF_RAW_TRACEPOINT_OPEN, std::move(attach))) state.hand_out(std::move(link));
}

void update_link(CallState& state) {
    auto& fields = state.attr().link_update;
    const auto link = state.link(fields.link_fd);
    if (!link) {
        state.failed(EBADF);
        return;
    }
    const auto program = program_of(state, fields.new_prog_fd);
    if (!program) return;
    auto attach = link->made_as;
    attach.program = program->type;
    attach.command = "link_update";
    if (!state.judge(attach)) return;
    if ((fields.flags & BPF_F_REPLACE) != 0) {
        const auto old = program_of(state, fields.old_prog_fd);
        if (!old) return;
        fields.old_prog_fd = static_cast<std::uint32_t>(old->fd.get());
    }
    fields.link_fd = static_cast<std::uint32_t>(link->fd.get());
    fields.new_prog_fd = static_cast<std::uint32_t>(program->fd.get());
    state.out.result = state.run();
}

void detach_link(CallState& state) {
    const auto link = state.link(state.attr().link_detach.link_fd);
    if (!link) {
        state.failed(EBADF);
        return;
    }
    if (!state.judge(grant::OtherCommand{"link_detach"})) return;
    state.attr().link_detach.link_fd = static_cast<std::uint32_t>(link->fd.get());
    state.out.result = state.run();
}

void create_iterator(CallState& state) {
    const auto link = state.link(state.attr().iter_create.link_fd);
    if (!link) {
        state.failed(EBADF);
        return;
    }
    if (!state.judge(grant::OtherCommand{"iter_create"}) || !state.may_outlive("an open iterator")) return;
    state.attr().iter_create.link_fd = static_cast<std::uint32_t>(link->fd.get());
    const int fd = state.run();
    if (fd < 0)
        state.failed(-fd);
    else
        state.out.fd = UniqueFd(fd);
}

void attach_program(CallState& state) {
    const bpf_attr given = state.attr();
    const auto program = program_of(state, given.attach_bpf_fd);
    if (!program) return;
    state.out.program_name = program->name;
    grant::Attach attach{.type = CallState::name(NameKind::attach_type, given.attach_type),
                         .program = program->type,
                         .command = "prog_attach"};
    if (grant::attaches_to(attach.type) != grant::AttachTo::cgroup) {
        state.refused(EOPNOTSUPP, "session", "",
                      "only to control groups does BPF_PROG_ATTACH go through a session: make a link");
        return;
    }
    // A link is what BPF_F_ALLOW_MULTI says, and cannot be overridden.
    constexpr std::uint32_t known = BPF_F_ALLOW_OVERRIDE | BPF_F_ALLOW_MULTI;
    if ((given.attach_flags & ~known) != 0 || given.replace_bpf_fd != 0 || given.relative_fd != 0 ||
        given.expected_revision != 0) {
        state.refused(EOPNOTSUPP, "session", "", "an order among programs is not set through a session");
        return;
    }
    std::uint64_t inode = 0;
    const int target = state.fd(given.target_fd);
    if (!add_cgroup(state, target, attach, &inode) || !state.judge(attach)) return;
    auto& attr = state.attr();
    attr = bpf_attr{};
    attr.link_create.prog_fd = static_cast<std::uint32_t>(program->fd.get());
    attr.link_create.target_fd = static_cast<std::uint32_t>(target);
    attr.link_create.attach_type = given.attach_type;
    state.call.layout.size = sizeof attr.link_create;
    if (auto link = make_link(state, BPF_LINK_CREATE, std::move(attach)))
        state.session.objects.add_attached({inode, given.attach_type, program, std::move(link)});
}

void detach_program(CallState& state) {
    const auto& given = state.attr();
    std::shared_ptr<Program> program;
    if (given.attach_bpf_fd != wire::no_fd && !(program = program_of(state, given.attach_bpf_fd))) return;
    if (!state.judge(grant::OtherCommand{"prog_detach"})) return;
    grant::Attach target;
    std::uint64_t inode = 0;
    if (!add_cgroup(state, state.fd(given.target_fd), target, &inode)) return;
    if (!state.session.objects.remove_attached(inode, given.attach_type, program.get())) state.failed(ENOENT);
}

void query_programs(CallState& state) {
    auto& fields = state.attr().query;
    if (!state.judge(grant::OtherCommand{"prog_query"})) return;
    grant::Attach attach{.type = CallState::name(NameKind::attach_type, fields.attach_type)};
    switch (grant::attaches_to(attach.type)) {
        case grant::AttachTo::cgroup: {
            const int target = state.fd(fields.target_fd);
            if (!add_cgroup(state, target, attach)) return;
            fields.target_fd = static_cast<std::uint32_t>(target);
            break;
        }
        case grant::AttachTo::interface:
            if (!add_interface(state, fields.target_ifindex, attach)) return;
            break;
        default:
            state.refused(EOPNOTSUPP, "session", "",
                          "only control groups and interfaces are queried through a session");
            return;
    }
    // What may be looked at is what may be attached to.
    if (!state.judge(attach)) return;
    state.out.result = state.run();
}

}  // namespace bpfwarden::broker
