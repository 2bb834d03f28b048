// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_object.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"
#include "enforce/kernel_links.hpp"
#include "enforce/libbpf_words.hpp"
#include "enforce/places.hpp"
#include "enforce/policy_hooks.hpp"
#include "kernel/btf.hpp"
#include "kernel/file.hpp"
#include "kernel/probe.hpp"
#include "policy.skel.h"
#include "policy/pin.hpp"

namespace bpfwarden::enforce {

namespace fs = std::filesystem;

Result<> require_bpf_lsm() {
    const auto text = kernel::read_file("/sys/kernel/security/lsm");
    if (!text)
        return fail(Error(Code::unsupported, "cannot see which security modules this kernel has")
                        .because(text.error().what())
                        .advise("mount -t securityfs none /sys/kernel/security"));
    const auto active = kernel::parse_lsm_list(*text);
    if (std::ranges::find(active, "bpf") != active.end()) return {};
    return fail(Error(Code::unsupported, "BPF LSM is not in force on this kernel")
                    .because(fmt::format("its security modules are: {}", join(active, ",")))
                    .advise(fmt::format("start the machine with lsm={} on the kernel's command line; with GRUB that is "
                                        "GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub",
                                        kernel::boot_list_with_bpf(active))));
}

void PolicyObject::Close::operator()(bpf_object* object) const { ::bpf_object__close(object); }

static Result<std::unique_ptr<bpf_object, void (*)(bpf_object*)>> open_object(const std::string& pins) {
    std::size_t size = 0;
    const void* bytes = policy__elf_bytes(&size);
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "bpfwarden_policy");
    std::unique_ptr<bpf_object, void (*)(bpf_object*)> object(::bpf_object__open_mem(bytes, size, &options),
                                                              &::bpf_object__close);
    if (!object) return fail_errno("cannot read the policy's programs");
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object.get()) {
        const std::string_view name = ::bpf_map__name(map);
        if (name.contains('.')) continue;
        const int error = ::bpf_map__set_pin_path(map, fmt::format("{}/{}", pins, name).c_str());
        if (error) return fail_errno(-error, fmt::format("cannot pin {}", name));
    }
    return object;
}

Result<> PolicyObject::make_maps(const std::string& pins) {
    const LibbpfWords words;
    auto object = BW_TRY(open_object(pins));
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object.get())::bpf_program__set_autoload(program, false);
    if (const int error = ::bpf_object__load(object.get()); error)
        return fail(Error::from_errno(-error, "cannot make the policy's maps").because(words.end()));
    return {};
}

// Asks IMA for a digest of an open file, by a program that is attached for a moment: the kernel's number of the
// algorithm.
static Result<std::uint32_t> ima_algorithm() {
    const LibbpfWords words;
    std::unique_ptr<struct ::policy, void (*)(struct ::policy*)> object(::policy__open(), &::policy__destroy);
    if (!object) return fail_errno("cannot read the policy's programs");
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object->obj)::bpf_program__set_autoload(
        program, program == object->progs.file_ask_ima);
    // Of the maps only its own variables: the rest is large.
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object->obj)::bpf_map__set_autocreate(
        map, std::string_view(::bpf_map__name(map)).contains('.'));
    object->rodata->bw_asking = static_cast<__u32>(::gettid());
    if (const int error = policy__load(object.get()); error)
        return fail(Error::from_errno(-error, "the kernel refuses the program that asks IMA").because(words.end()));
    const std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(::bpf_program__attach_lsm(object->progs.file_ask_ima),
                                                             &::bpf_link__destroy);
    if (!link) return fail(Error::from_errno(errno, "cannot attach the program that asks IMA").because(words.end()));
    const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    if (!file) return fail_errno("cannot open this program's own file");
    int size = 0;
    if (::ioctl(file.get(), FIGETBSZ, &size)) return fail_errno("cannot ask about this program's own file");
    const int algorithm = object->data->bw_ima_algorithm;
    if (algorithm < 0)
        return fail(Error(Code::unsupported, "IMA makes no digest on this machine")
                        .because(fmt::format("asked for that of this program's own file it says: {}",
                                             std::strerror(-algorithm)))
                        .advise("know the file by `fsverity`, `label` or `identity`"));
    return static_cast<std::uint32_t>(algorithm);
}

static Result<> require_kfunc(const kernel::Btf& btf, std::string_view name, const char* what, std::string why,
                              const char* instead) {
    if (btf.function(name).id) return {};
    return fail(Error(Code::unsupported, what).because(std::move(why)).advise(instead));
}

Result<> require_kinds(std::uint32_t kinds, std::uint32_t ima_algorithms) {
    if (!kinds) return {};
    const auto btf = BW_TRY(kernel::Btf::of_vmlinux());
    if (kinds & policy::bit(policy::PinKind::fsverity))
        BW_TRY(require_kfunc(btf, "bpf_get_fsverity_digest", "this kernel tells programs no digest by fs-verity",
                             "that is there from Linux 6.8 on, in kernels with CONFIG_FS_VERITY",
                             "know the file by `ima` or `identity`"));
    if (kinds & BW_PINS_LABELS)
        BW_TRY(require_kfunc(btf, "bpf_get_file_xattr", "this kernel tells programs no label of a file",
                             "that is there from Linux 6.8 on", "know the file by `exe`, `ima` or `identity`"));
    // Both came with one change; attributes of the other name are refused to programs before.
    if (kinds & policy::bit(policy::PinKind::label))
        BW_TRY(require_kfunc(btf, "bpf_set_dentry_xattr", "this kernel tells programs no attribute security.bpf.*",
                             "that is there from Linux 6.15 on",
                             "user_label is read from 6.8 on, but who owns a file can set it"));
    if (kinds & policy::bit(policy::PinKind::ima)) {
        BW_TRY(require_kfunc(btf, "ima_file_hash", "this kernel has no IMA", "it was built without CONFIG_IMA",
                             "know the file by `fsverity`, `label` or `identity`"));
        const auto algorithm = BW_TRY(ima_algorithm());
        const auto name = policy::ima_algorithm_name(algorithm);
        if (ima_algorithms & ~(1U << algorithm))
            return fail(
                Error(Code::unsupported, "the policy has digests that IMA does not make on this machine")
                    .because(name ? fmt::format("its digests are made with {} here", *name)
                                  : fmt::format("its algorithm here is the kernel's number {}, which can be forged "
                                                "or is not known",
                                                algorithm))
                    .advise("write digests of that algorithm, or start the kernel with ima_hash=sha256"));
    }
    return {};
}

Result<PolicyObject> PolicyObject::open(const std::string& pins, const PolicyNeeds& needs) {
    const auto btf = BW_TRY(kernel::Btf::of_vmlinux());
    const bool by_path = !btf.has_member("file", "f_path");
    std::set<std::string, std::less<>> wanted;
    for (const auto& hook : policy_hooks()) {
        if (!is_needed(hook, needs)) continue;
        if (!btf.function(fmt::format("bpf_lsm_{}", hook.hook)).id) {
            if (hook.optional) continue;
            return fail(Error(Code::unsupported, fmt::format("this kernel has no LSM hook {}", hook.hook))
                            .because("a rule or default of the policy needs it"));
        }
        auto program = std::string(hook.program) + (hook.by_path && by_path ? "_by_path" : "");
        if (!fs::exists(fs::path(pins) / (std::string(link_prefix) + program))) wanted.insert(std::move(program));
    }
    PolicyObject made;
    made.pins_ = pins;
    if (!wanted.empty()) BW_TRY(made.load(wanted));  // or another policy for the same hooks: nothing to load
    return made;
}

Result<> PolicyObject::load(const std::set<std::string, std::less<>>& wanted) {
    const LibbpfWords words;
    const auto recorder = pins_ == sealed_policy ? recorder_where_the_kernel_can_hold() : nullptr;
    object_.reset(BW_TRY(open_object(pins_)).release());
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get())::bpf_program__set_autoload(
        program, wanted.contains(std::string_view(::bpf_program__name(program))));
    if (const int error = ::bpf_object__load(object_.get()); error)
        return fail(Error::from_errno(-error, "the kernel refuses the policy's programs").because(words.end()));
    if (recorder) recipes_ = BW_TRY(std::move(*recorder).recipes());
    return {};
}

Result<PolicyObject> PolicyObject::successor(const std::string& pins) {
    std::set<std::string, std::less<>> wanted;
    std::error_code problem;
    std::vector<fs::path> left;
    for (const auto& entry : fs::directory_iterator(pins, problem)) {
        const auto name = entry.path().filename().string();
        if (name.starts_with(link_prefix)) wanted.insert(name.substr(link_prefix.size()));
        if (name.starts_with(next_prefix)) left.push_back(entry.path());  // by who ended in the middle
    }
    if (problem) return fail(Error::from_errno(problem.value(), fmt::format("cannot read {}", pins)));
    for (const auto& path : left)
        if (::unlink(path.c_str())) return fail_errno(fmt::format("cannot remove {}", path.string()));
    PolicyObject made;
    made.pins_ = pins;
    made.succeeds_ = true;
    if (!wanted.empty()) BW_TRY(made.load(wanted));
    return made;
}

// Who reads for others comes after them: what was attached last is called first.
static bool is_no_reader(std::uint32_t flags) { return !(flags & BPF_F_SLEEPABLE); }

Result<> PolicyObject::attach_here(const Keep& keep) {
    const LibbpfWords words;
    std::vector<bpf_program*> programs;
    bpf_program* next = nullptr;
    bpf_object__for_each_program(next, object_.get()) if (::bpf_program__autoload(next)) programs.push_back(next);
    std::ranges::stable_partition(programs, is_no_reader, &::bpf_program__flags);
    for (auto* program : programs) {
        const char* name = ::bpf_program__name(program);
        // Its pin alone holds it from here on: with an fd of a process that goes on, it would outlive its removal.
        const std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(::bpf_program__attach_lsm(program),
                                                                 &::bpf_link__destroy);
        if (!link) return fail(Error::from_errno(errno, fmt::format("cannot attach {}", name)).because(words.end()));
        BW_TRY(keep(FdRef(::bpf_link__fd(link.get())), name));
    }
    return {};
}

Result<> PolicyObject::attach_in_kernel(const Keep& keep) {
    std::ranges::stable_partition(recipes_->programs, is_no_reader, &LsmRecipe::flags);
    const auto held = BW_TRY(hold_in_kernel(sealed_guard, *recipes_));
    for (std::size_t i = 0; i < held.size(); ++i)
        BW_TRY(keep(BW_TRY(open_thing({BW_SEALED_LINK, held[i].link})), recipes_->programs[i].name));
    return {};
}

Result<> PolicyObject::attach(const SealedChange& sealing) {
    if (!object_) return {};
    std::vector<std::string> pinned;
    const auto undo = [&](Error error) {
        for (const auto& path : pinned) ::unlink(path.c_str());
        if (recipes_) (void)release_unpinned();
        return fail(std::move(error));
    };
    const Keep keep = [&](FdRef link, std::string_view name) -> Result<> {
        BW_TRY(sealing.add(link));
        auto path = fmt::format("{}/{}{}", pins_, succeeds_ ? next_prefix : link_prefix, name);
        if (::bpf_obj_pin(link.get(), path.c_str())) return fail_errno(fmt::format("cannot pin {}", path));
        pinned.push_back(std::move(path));
        return {};
    };
    if (const auto attached = recipes_ ? attach_in_kernel(keep) : attach_here(keep); !attached)
        return undo(attached.error());
    if (!succeeds_) return {};
    // What has had the name goes: both have decided till now.
    for (const auto& path : pinned) {
        const auto name = std::string_view(path).substr(pins_.size() + 1 + next_prefix.size());
        auto last = fmt::format("{}/{}{}", pins_, link_prefix, name);
        if (::rename(path.c_str(), last.c_str()))
            return undo(Error::from_errno(errno, fmt::format("cannot pin {}", last)));
    }
    return recipes_ ? release_unpinned() : Result<>();
}

}  // namespace bpfwarden::enforce
