// SPDX-License-Identifier: Apache-2.0
#include "enforce/kernel_links.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "enforce/bpf_thing.hpp"
#include "enforce/kernel_thread.hpp"
#include "enforce/libbpf_words.hpp"
#include "enforce/places.hpp"
#include "enforce/policy_hooks.hpp"
#include "kernel/btf.hpp"
#include "kernel/file.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::enforce {

bool kernel_can_hold() {
    static const bool can = [] {
        const auto btf = kernel::Btf::of_vmlinux();
        return btf && btf->function("bpf_wq_start").id &&
               (btf->function("bpf_wq_set_callback").id || btf->function("bpf_wq_set_callback_impl").id);
    }();
    return can;
}

std::unique_ptr<LsmRecorder> recorder_where_the_kernel_can_hold() {
    return kernel_can_hold() ? std::make_unique<LsmRecorder>() : nullptr;
}

// --- what is there
// ----------------------------------------------------------------------------------------------------

// By a mount that nobody sees: whatever others have mounted on /proc. Process 2 starts all threads of the kernel.
static Result<UniqueFd> table() {
    const auto context = BW_TRY(kernel::fs_open("proc"));
    BW_TRY(kernel::fs_create(context));
    const auto mount = BW_TRY(kernel::fs_mount(context, 0));
    UniqueFd fds(::openat(mount.get(), "2/fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fds) return fail_errno("cannot see what the kernel's threads have open");
    return fds;
}

static std::uint32_t number_after(std::string_view text, std::string_view word) {
    std::uint32_t number = 0;
    for (const auto line : split(text, '\n')) {
        if (!line.starts_with(word)) continue;
        const auto digits = line.substr(std::min(line.find_first_of("0123456789"), line.size()));
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    }
    return number;
}

Result<std::vector<KernelLink>> held_by_kernel() {
    auto fds = BW_TRY(table());
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(::dup(fds.get())), &::closedir);
    if (!directory) return fail_errno("cannot see what the kernel's threads have open");
    std::vector<KernelLink> found;
    while (const auto* entry = ::readdir(directory.get())) {
        if (entry->d_name[0] == '.') continue;
        const auto text = kernel::read_file_at(fds, entry->d_name);
        if (!text) continue;  // closed since
        KernelLink one{.fd = std::stoi(entry->d_name),
                       .link = number_after(*text, "link_id:"),
                       .program = number_after(*text, "prog_id:")};
        if (one.link) found.push_back(one);
    }
    std::ranges::sort(found, {}, &KernelLink::fd);
    return found;
}

// --- what is to be done
// -----------------------------------------------------------------------------------------------

namespace {

class Bytes {
  public:
    __u32 add(const void* data, std::size_t size) {
        const auto at = (bytes_.size() + 7) / 8 * 8;
        bytes_.resize(at + size);
        if (size) std::memcpy(bytes_.data() + at, data, size);
        return static_cast<__u32>(at);
    }
    const std::vector<std::byte>& all() const { return bytes_; }

  private:
    std::vector<std::byte> bytes_;
};

const char* step_name(__u32 step) {
    switch (static_cast<bw_batch_step>(step)) {
        case BW_BATCH_OPEN_MAP:
            return "open";
        case BW_BATCH_LOAD_BTF:
            return "load";
        case BW_BATCH_LOAD_PROGRAM:
            return "load";
        case BW_BATCH_LINK:
            return "attach";
        case BW_BATCH_NOTHING:
            break;
    }
    return "do";
}

}  // namespace

static __u32 function_count(const LsmRecipe& recipe) {
    return static_cast<__u32>(recipe.functions.size() / std::max(1U, recipe.function_size));
}

static Result<> name_maps_by_index(std::vector<bpf_insn>& instructions, bw_batch& batch) {
    for (auto& one : instructions) {
        if (one.code != (BPF_LD | BPF_IMM | BPF_DW)) continue;
        if (one.src_reg != BPF_PSEUDO_MAP_IDX && one.src_reg != BPF_PSEUDO_MAP_IDX_VALUE) continue;
        const auto id = static_cast<__u32>(one.imm);
        __u32 index = 0;
        while (index < batch.maps && batch.map_ids[index] != id) ++index;
        if (index == BW_BATCH_MAPS) return fail(Code::failed, "the programs have too many maps");
        if (index == batch.maps) batch.map_ids[batch.maps++] = id;
        one.imm = static_cast<__s32>(index);
    }
    return {};
}

// The thread cannot be told: the verifier writes to processes only. So it is asked once more, here.
static std::string verifiers_words(const LsmRecipe& recipe, const LsmRecipes& recipes, bw_batch& batch) {
    auto instructions = recipe.instructions;
    std::vector<UniqueFd> maps;
    std::vector<int> fds;
    if (!name_maps_by_index(instructions, batch)) return {};
    for (const auto id : std::span(batch.map_ids).first(batch.maps)) {
        auto map = open_thing({BW_SEALED_MAP, id});
        if (!map) return map.error().what();
        maps.push_back(std::move(*map));
        fds.push_back(maps.back().get());
    }
    const UniqueFd btf(::bpf_btf_load(recipes.btf.data(), recipes.btf.size(), nullptr));
    std::string log(std::size_t{1} << 20, 0);
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_LSM_MAC,
                .prog_btf_fd = static_cast<__u32>(btf.get()), .prog_flags = recipe.flags,
                .attach_btf_id = recipe.attach_btf_id, .fd_array = fds.data(), .func_info = recipe.functions.data(),
                .func_info_cnt = function_count(recipe), .func_info_rec_size = recipe.function_size, .log_level = 1,
                .log_size = static_cast<__u32>(log.size()), .log_buf = log.data());
    const UniqueFd program(::bpf_prog_load(BPF_PROG_TYPE_LSM, recipe.name.c_str(), "GPL", instructions.data(),
                                           instructions.size(), &options));
    return last_lines(log.c_str());
}

static Failure refused(const LsmRecipes& recipes, bw_batch& batch) {
    const bool program = batch.step == BW_BATCH_LOAD_PROGRAM || batch.step == BW_BATCH_LINK;
    const auto* recipe = program && batch.index < recipes.programs.size() ? &recipes.programs[batch.index] : nullptr;
    const auto what = recipe ? recipe->name : batch.step == BW_BATCH_OPEN_MAP ? "a map" : "the programs' types";
    auto error = Error::from_errno(-batch.error,
                                   fmt::format("a thread of the kernel cannot {} {}", step_name(batch.step), what));
    if (batch.step != BW_BATCH_LOAD_PROGRAM || !recipe) return fail(std::move(error));
    return fail(std::move(error).because(verifiers_words(*recipe, recipes, batch)));
}

Result<std::vector<KernelLink>> hold_in_kernel(const std::string& guard, const LsmRecipes& recipes) {
    if (recipes.programs.empty()) return std::vector<KernelLink>{};
    if (recipes.programs.size() > BW_BATCH_LINKS) return fail(Code::failed, "there are too many programs");
    const auto batch = std::make_unique<bw_batch>();
    Bytes bytes;
    batch->what = BW_BATCH_HOLD;
    batch->license = bytes.add("GPL", 4);
    batch->btf = bytes.add(recipes.btf.data(), recipes.btf.size());
    batch->btf_size = static_cast<__u32>(recipes.btf.size());
    for (const auto& recipe : recipes.programs) {
        auto& one = batch->link[batch->links++];
        auto instructions = recipe.instructions;
        BW_TRY(name_maps_by_index(instructions, *batch));
        one.instructions = bytes.add(instructions.data(), instructions.size() * sizeof(bpf_insn));
        one.instruction_count = static_cast<__u32>(instructions.size());
        one.functions = bytes.add(recipe.functions.data(), recipe.functions.size());
        one.function_size = recipe.function_size;
        one.function_count = function_count(recipe);
        one.attach_btf_id = recipe.attach_btf_id;
        one.flags = recipe.flags;
        recipe.name.copy(one.name, sizeof one.name - 1);
    }
    BW_TRY(have_done_in_kernel(guard, *batch, bytes.all()));
    if (batch->error) return refused(recipes, *batch);
    std::vector<KernelLink> held;
    for (__u32 i = 0; i < batch->links; ++i)
        held.push_back({.fd = batch->link[i].fd, .link = batch->link[i].link, .program = batch->link[i].program});
    return held;
}

Result<> release_from_kernel(const std::string& guard, std::span<const KernelLink> links) {
    for (std::size_t first = 0; first < links.size(); first += BW_BATCH_LINKS) {
        const auto batch = std::make_unique<bw_batch>();
        batch->what = BW_BATCH_RELEASE;
        for (const auto& link : links.subspan(first, std::min<std::size_t>(BW_BATCH_LINKS, links.size() - first))) {
            auto& one = batch->link[batch->links++];
            one.fd = link.fd;
            one.link = link.link;
        }
        BW_TRY(have_done_in_kernel(guard, *batch));
    }
    return {};
}

// --- ours
// -------------------------------------------------------------------------------------------------------------

static bool is_name_of_ours(std::string_view name) {
    const auto is = [&](std::string own) { return name == own.substr(0, BPF_OBJ_NAME_LEN - 1); };
    return name.starts_with("rest_") || std::ranges::any_of(policy_hooks(), [&](const PolicyHook& hook) {
               return is(std::string(hook.program)) || is(std::string(hook.program) + "_by_path");
           });
}

// By its name and what it decides by.
static Result<bool> is_ours(const KernelLink& link) {
    const auto program = open_thing({BW_SEALED_PROG, link.program});
    if (!program) {
        if (program.error().number() == ENOENT) return false;
        return fail(program.error());
    }
    const auto name = BW_TRY(name_in_kernel(*program));
    if (!is_name_of_ours(name)) return false;
    constexpr std::array<std::string_view, 4> tables{"guard", "control", "tasks", "mounted"};
    for (const auto& thing : BW_TRY(with_what_it_needs(*program))) {
        if (thing.kind != BW_SEALED_MAP) continue;
        const auto map = BW_TRY(name_in_kernel(BW_TRY(open_thing(thing))));
        if (std::ranges::find(tables, map) != tables.end()) return true;
    }
    return false;
}

static Result<std::set<std::uint32_t>> pinned_links() {
    std::set<std::uint32_t> links;
    std::error_code none;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(sealed_bpffs, none)) {
        if (!entry.is_regular_file()) continue;
        if (const auto thing = BW_TRY(what_is(BW_TRY(open_pin(entry.path())))); thing.kind == BW_SEALED_LINK)
            links.insert(thing.id);
    }
    return links;
}

static Result<> release_but(const std::set<std::uint32_t>& kept) {
    if (!kernel_can_hold()) return {};
    std::vector<KernelLink> gone;
    for (const auto& link : BW_TRY(held_by_kernel()))
        if (!kept.contains(link.link) && BW_TRY(is_ours(link))) gone.push_back(link);
    return gone.empty() ? Result<>() : release_from_kernel(sealed_guard, gone);
}

Result<> release_unpinned() { return release_but(BW_TRY(pinned_links())); }
Result<> release_all() { return release_but({}); }

}  // namespace bpfwarden::enforce
