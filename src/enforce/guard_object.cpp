// SPDX-License-Identifier: Apache-2.0
#include "enforce/guard_object.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <span>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "enforce/bpf_thing.hpp"
#include "enforce/kernel_links.hpp"
#include "enforce/libbpf_words.hpp"
#include "guard.skel.h"
#include "kernel/mount.hpp"

namespace bpfwarden::enforce {

namespace fs = std::filesystem;

using LinkOwner = std::unique_ptr<bpf_link, int (*)(bpf_link*)>;

void GuardObject::Close::operator()(bpf_object* object) const { ::bpf_object__close(object); }

// A mount that nobody sees: where others have cgroup2, if anywhere, does not matter.
Result<UniqueFd> cgroup_root() {
    const auto context = BW_TRY(kernel::fs_open("cgroup2"));
    BW_TRY(kernel::fs_create(context));
    const auto mount = BW_TRY(kernel::fs_mount(context, 0));
    UniqueFd root(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root) return fail_errno("cannot open the root of cgroup2");
    return root;
}

static Result<std::vector<std::uint32_t>> attached(FdRef cgroup, bpf_attach_type type) {
    constexpr __u32 room = 128;
    std::vector<std::uint32_t> ids(room), flags(room);
    LIBBPF_OPTS(bpf_prog_query_opts, query, .prog_ids = ids.data(), .prog_cnt = room,
                .prog_attach_flags = flags.data());
    if (::bpf_prog_query_opts(cgroup.get(), type, &query))
        return fail_errno("cannot ask which programs the root of cgroup2 has");
    ids.resize(query.prog_cnt);
    return ids;
}

Result<std::vector<std::uint32_t>> attached_to_root(FdRef cgroup) {
    auto all = BW_TRY(attached(cgroup, BPF_CGROUP_SYSCTL));
    const auto more = BW_TRY(attached(cgroup, BPF_LSM_CGROUP));
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

static bool is_attached_to_cgroups(const bpf_program* program) {
    const std::string_view section = ::bpf_program__section_name(program);
    return section.starts_with("lsm_cgroup/") || section.starts_with("cgroup/");
}

static Result<bpf_object*> open_object() {
    std::size_t size = 0;
    const void* bytes = guard__elf_bytes(&size);
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "bpfwarden_guard");
    bpf_object* object = ::bpf_object__open_mem(bytes, size, &options);
    if (!object) return fail_errno("cannot read the guard's programs");
    return object;
}

std::size_t core_size() {
    const auto object = open_object();
    if (!object) return 0;
    std::size_t size = 0;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, *object) size += is_attached_to_cgroups(program);
    ::bpf_object__close(*object);
    return size;
}

static bool is_of_the_compiler(const bpf_map* map) { return std::string_view(::bpf_map__name(map)).contains('.'); }

static bool is_linked(const bpf_program* program) {
    return std::string_view(::bpf_program__section_name(program)).starts_with("lsm/");
}

static Result<> load_all(bpf_object* object, const LibbpfWords& words) {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object)::bpf_program__set_autoload(
        program, std::string_view(::bpf_program__name(program)) != "ask_mounts");
    if (const int error = ::bpf_object__load(object); error)
        return fail(Error::from_errno(-error, "the kernel refuses the guard's programs").because(words.end()));
    return {};
}

Result<GuardObject> GuardObject::load(FdRef tasks) {
    const LibbpfWords words;
    const auto recorder = recorder_where_the_kernel_can_hold();
    GuardObject made;
    made.object_.reset(BW_TRY(open_object()));
    if (tasks.get() >= 0) {
        const int error = ::bpf_map__reuse_fd(::bpf_object__find_map_by_name(made.object_.get(), "tasks"), tasks.get());
        if (error) return fail(Error::from_errno(-error, "cannot use the policy's map of tasks").because(words.end()));
    }
    BW_TRY(load_all(made.object_.get(), words));
    if (recorder) made.recipes_ = BW_TRY(std::move(*recorder).recipes());
    return made;
}

static Result<> use_pinned(bpf_map* map, const std::string& directory) {
    const std::string name = ::bpf_map__name(map);  // libbpf frees it for the pinned one's
    const auto other = [&](const char* why) {
        return fail(Error(Code::failed, "this bpfwarden's guard cannot take the place of the one that is in force")
                        .because(fmt::format("its table {} {}", name, why))
                        .advise("bpfwarden guard unseal, and seal"));
    };
    const auto pinned = open_pin(fmt::format("{}/{}", directory, name));
    if (!pinned) return pinned.error().number() == ENOENT ? other("is new") : fail(pinned.error());
    const auto type = ::bpf_map__type(map);
    const auto key = ::bpf_map__key_size(map), value = ::bpf_map__value_size(map);
    if (const int error = ::bpf_map__reuse_fd(map, pinned->get()); error)
        return fail(Error::from_errno(-error, fmt::format("cannot use the guard's map {}", name)));
    if (type != ::bpf_map__type(map) || key != ::bpf_map__key_size(map) || value != ::bpf_map__value_size(map))
        return other("has another form");
    return {};
}

Result<GuardObject> GuardObject::successor(const std::string& directory) {
    const LibbpfWords words;
    const auto recorder = recorder_where_the_kernel_can_hold();
    GuardObject made;
    made.tables_ = directory;
    made.object_.reset(BW_TRY(open_object()));
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, made.object_.get()) if (!is_of_the_compiler(map)) BW_TRY(use_pinned(map, directory));
    BW_TRY(load_all(made.object_.get(), words));
    if (recorder) made.recipes_ = BW_TRY(std::move(*recorder).recipes());
    return made;
}

Result<> GuardObject::pin_maps(const std::string& directory) {
    tables_ = directory;
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_.get()) {
        if (is_of_the_compiler(map)) continue;
        const auto path = fmt::format("{}/{}", directory, ::bpf_map__name(map));
        if (::bpf_obj_pin(::bpf_map__fd(map), path.c_str())) return fail_errno(fmt::format("cannot pin {}", path));
    }
    return {};
}

Result<> GuardObject::pin_programs(const std::string& directory) {
    const LibbpfWords words;
    const auto path_of = [&](std::string_view name) { return fmt::format("{}/link_{}", directory, name); };
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get()) {
        const std::string_view name = ::bpf_program__name(program), section = ::bpf_program__section_name(program);
        if (!::bpf_program__autoload(program) || is_attached_to_cgroups(program)) continue;
        if (section.contains("syscall")) {
            const auto path = fmt::format("{}/{}", directory, name);
            if (::bpf_obj_pin(::bpf_program__fd(program), path.c_str()))
                return fail_errno(fmt::format("cannot pin {}", path));
            continue;
        }
        if (recipes_) continue;
        const LinkOwner link(::bpf_program__attach_lsm(program), &::bpf_link__destroy);
        const auto path = path_of(name);
        if (!link) return fail(Error::from_errno(errno, fmt::format("cannot attach {}", name)).because(words.end()));
        if (const int error = ::bpf_link__pin(link.get(), path.c_str()); error)
            return fail(Error::from_errno(-error, fmt::format("cannot pin {}", path)));
    }
    if (!recipes_) return {};
    const auto held = BW_TRY(hold_in_kernel(tables_, *recipes_));
    for (std::size_t i = 0; i < held.size(); ++i) {
        const auto path = path_of(recipes_->programs[i].name);
        if (::bpf_obj_pin(BW_TRY(open_thing({BW_SEALED_LINK, held[i].link})).get(), path.c_str()))
            return fail_errno(fmt::format("cannot pin {}", path));
    }
    return {};
}

static bpf_attach_type attach_type(const bpf_program* program) {
    return std::string_view(::bpf_program__section_name(program)) == "cgroup/sysctl" ? BPF_CGROUP_SYSCTL
                                                                                     : BPF_LSM_CGROUP;
}

// Never by a link: whoever has its fd could detach it.
Result<> GuardObject::attach_core(FdRef cgroup) {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get()) {
        if (!is_attached_to_cgroups(program)) continue;
        if (::bpf_prog_attach(::bpf_program__fd(program), cgroup.get(), attach_type(program), BPF_F_ALLOW_MULTI))
            return fail_errno(fmt::format("cannot attach {} to the root of cgroup2", ::bpf_program__name(program)));
    }
    return {};
}

Result<> detach_core(FdRef cgroup, const std::set<std::uint32_t>& kept) {
    for (const auto type : {BPF_LSM_CGROUP, BPF_CGROUP_SYSCTL}) {
        for (const auto id : BW_TRY(attached(cgroup, type))) {
            if (kept.contains(id)) continue;
            const UniqueFd program(::bpf_prog_get_fd_by_id(id));
            if (!program) return fail_errno(fmt::format("cannot open prog:{}", id));
            bpf_prog_info info{};
            __u32 size = sizeof info;
            if (::bpf_obj_get_info_by_fd(program.get(), &info, &size)) return fail_errno("cannot ask about a program");
            if (!std::string_view(info.name).starts_with("core_")) continue;
            if (::bpf_prog_detach2(program.get(), cgroup.get(), type))
                return fail_errno(fmt::format("cannot detach {}", info.name));
        }
    }
    return {};
}

Result<> GuardObject::freeze() {
    for (const char* name : {"guard", "sealed", "listed", "places", "devices", "mounts", "mountpoints", "namespaces"})
        if (::bpf_map_freeze(::bpf_map__fd(::bpf_object__find_map_by_name(object_.get(), name))))
            return fail_errno(fmt::format("cannot freeze the guard's map {}", name));
    return {};
}

Failure changed_by_another() {
    return fail(Error::from_errno(EBUSY, "somebody else is changing what is sealed").advise("try again"));
}

static Failure refused(int error) {
    if (error == EBUSY) return changed_by_another();
    return fail(Error::from_errno(error, "the guard refuses a change")
                    .advise("it is made by who the seal names as its updater: bpfwarden guard status"));
}

// Runs it on `what`, which is the answer then: the kernel writes it back.
template <class What>
static Result<int> run(int program, What& what) {
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &what, .ctx_size_in = sizeof what);
    if (::bpf_prog_test_run_opts(program, &options)) return fail_errno("cannot run the guard's program");
    return -static_cast<int>(options.retval);
}

Result<> change_sealed(const std::string& directory, bw_change what) {
    const UniqueFd program(::bpf_obj_get((directory + "/change").c_str()));
    if (!program) return refused(errno);
    if (const int error = BW_TRY(run(program.get(), what))) return refused(error);
    return {};
}

bool may_change(const std::string& directory) {
    // Who may is told that there is no such change.
    const auto nothing = change_sealed(directory, {});
    return !nothing && nothing.error().number() == EINVAL;
}

static Result<bw_show> show(FdRef program, __u32 index) {
    bw_show asked{};
    asked.index = index;
    if (const int error = BW_TRY(run(program.get(), asked)))
        return fail(Error::from_errno(error, "cannot ask the guard what is sealed"));
    return asked;
}

// Nobody is given it while somebody changes something; and to take that for nothing being sealed would be wrong.
static Result<UniqueFd> shower_of(const std::string& directory) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(BW_CHANGE_SECONDS);
    for (;;) {
        UniqueFd program(::bpf_obj_get((directory + "/show").c_str()));
        if (program) return program;
        if (errno != EBUSY || std::chrono::steady_clock::now() > end)
            return fail_errno("cannot ask the guard what is sealed");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

Result<bw_guard> guard_state(const std::string& directory) {
    const auto program = BW_TRY(shower_of(directory));
    return BW_TRY(show(program, 0)).guard;
}

Result<ShownSeal> show_sealed(const std::string& directory) {
    const auto program = BW_TRY(shower_of(directory));
    ShownSeal shown;
    for (__u32 index = 0;; ++index) {
        const auto answer = BW_TRY(show(program, index));
        shown.guard = answer.guard;
        if (!answer.thing.kind) return shown;
        shown.things.push_back({static_cast<bw_sealed_kind>(answer.thing.kind), answer.thing.id});
    }
}

Result<std::vector<BpfThing>> GuardObject::things() const {
    std::vector<BpfThing> all;
    const auto add = [&](int fd) -> Result<> {
        all.push_back(BW_TRY(what_is(FdRef(fd))));
        return {};
    };
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object_.get()) if (::bpf_map__fd(map) >= 0) BW_TRY(add(::bpf_map__fd(map)));
    bpf_program* program = nullptr;
    bpf_object__for_each_program(
        program, object_.get()) if (::bpf_program__autoload(program) && !(recipes_ && is_linked(program)))
        BW_TRY(add(::bpf_program__fd(program)));
    return all;
}

Result<std::set<std::uint32_t>> GuardObject::core() const {
    std::set<std::uint32_t> ids;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get()) if (is_attached_to_cgroups(program))
        ids.insert(BW_TRY(what_is(FdRef(::bpf_program__fd(program)))).id);
    return ids;
}

Result<BpfThing> GuardObject::shower() const {
    return what_is(FdRef(::bpf_program__fd(::bpf_object__find_program_by_name(object_.get(), "show"))));
}

Result<std::uint32_t> GuardObject::holders(std::uint32_t map) const {
    const bw_sealed key{BW_SEALED_MAP, map};
    struct {
        __u32 flags, holders, index;
    } what{};  // struct bw_sealed_what
    if (::bpf_map_lookup_elem(::bpf_map__fd(::bpf_object__find_map_by_name(object_.get(), "sealed")), &key, &what))
        return fail_errno(fmt::format("map:{} is not sealed", map));
    return what.holders;
}

Result<> keep_mount(const std::string& directory, const std::string& path, bool keep) {
    const LibbpfWords words;
    std::unique_ptr<struct ::guard, void (*)(struct ::guard*)> object(::guard__open(), &::guard__destroy);
    if (!object) return fail_errno("cannot read the guard's programs");
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object->obj)::bpf_program__set_autoload(program,
                                                                                  program == object->progs.ask_mounts);
    bpf_map* map = nullptr;
    constexpr std::array<std::string_view, 5> used{"guard", "mounts", "mountpoints", "namespaces", "tasks"};
    bpf_object__for_each_map(map, object->obj) {
        const std::string_view name = ::bpf_map__name(map);
        if (is_of_the_compiler(map)) continue;
        if (std::ranges::find(used, name) == used.end()) {
            ::bpf_map__set_autocreate(map, false);
            continue;
        }
        const auto pinned = BW_TRY(open_pin(fmt::format("{}/{}", directory, name)));
        if (const int error = ::bpf_map__reuse_fd(map, pinned.get()); error)
            return fail(Error::from_errno(-error, fmt::format("cannot use the guard's map {}", name)));
    }
    object->rodata->bw_asking = static_cast<__u32>(::gettid());
    object->rodata->bw_forgetting = !keep;
    if (const int error = guard__load(object.get()); error)
        return fail(
            Error::from_errno(-error, "the kernel refuses the program that asks about mounts").because(words.end()));
    const LinkOwner link(::bpf_program__attach_lsm(object->progs.ask_mounts), &::bpf_link__destroy);
    if (!link)
        return fail(Error::from_errno(errno, "cannot attach the program that asks about mounts").because(words.end()));
    const UniqueFd asked(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!asked) return fail_errno(fmt::format("cannot open {}", path));
    const int count = object->bss->bw_asked_mounts;
    if (count > 0) return {};
    return fail(Error(Code::failed, fmt::format("cannot tell what {} stands on", path))
                    .because(count < 0 ? fmt::format("more than {} mounts are mounted on each other", BW_MAX_MOUNTS)
                                       : "the kernel did not ask the guard about it"));
}

}  // namespace bpfwarden::enforce
