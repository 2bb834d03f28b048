// SPDX-License-Identifier: Apache-2.0
#include "enforce/lsm_recipes.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "kernel/btf.hpp"

namespace bpfwarden::enforce {

struct LsmRecorder::Kept {
    LsmRecipes recipes;
    std::vector<std::string> hooks;
    std::array<int, 2> handlers{-1, -1};
};

LsmRecorder::LsmRecorder() : kept_(std::make_unique<Kept>()) {
    LIBBPF_OPTS(libbpf_prog_handler_opts, options, .cookie = reinterpret_cast<long>(kept_.get()),
                .prog_prepare_load_fn = &LsmRecorder::take);
    kept_->handlers = {::libbpf_register_prog_handler("lsm+", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, &options),
                       ::libbpf_register_prog_handler("lsm.s+", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, &options)};
}

LsmRecorder::~LsmRecorder() {
    for (const int handler : kept_->handlers)
        if (handler >= 0) ::libbpf_unregister_prog_handler(handler);
}

Result<LsmRecipes> LsmRecorder::recipes() && {
    const auto btf = BW_TRY(kernel::Btf::of_vmlinux());
    const std::vector<std::string_view> names(kept_->hooks.begin(), kept_->hooks.end());
    const auto found = btf.functions(names);
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (!found[i].id) return fail(Code::unsupported, fmt::format("this kernel has no {}", names[i]));
        kept_->recipes.programs[i].attach_btf_id = found[i].id;
    }
    return std::move(kept_->recipes);
}

static int read_btf(int fd, std::vector<std::byte>& bytes) {
    bpf_btf_info info{};
    __u32 size = sizeof info;
    if (::bpf_btf_get_info_by_fd(fd, &info, &size)) return -errno;
    bytes.resize(info.btf_size);
    info = {};
    info.btf = reinterpret_cast<__u64>(bytes.data());
    info.btf_size = static_cast<__u32>(bytes.size());
    return ::bpf_btf_get_info_by_fd(fd, &info, &size) ? -errno : 0;
}

static int name_maps_by_id(std::span<bpf_insn> instructions) {
    for (auto& one : instructions) {
        if (one.code != (BPF_LD | BPF_IMM | BPF_DW)) continue;
        const bool value = one.src_reg == BPF_PSEUDO_MAP_VALUE;
        if (!value && one.src_reg != BPF_PSEUDO_MAP_FD) continue;
        bpf_map_info info{};
        __u32 size = sizeof info;
        if (::bpf_map_get_info_by_fd(one.imm, &info, &size)) return -errno;
        one.src_reg = value ? BPF_PSEUDO_MAP_IDX_VALUE : BPF_PSEUDO_MAP_IDX;
        one.imm = static_cast<__s32>(info.id);
    }
    return 0;
}

int LsmRecorder::take(bpf_program* program, bpf_prog_load_opts* options, long self) {
    auto& kept = *reinterpret_cast<Kept*>(self);
    const std::string_view section = ::bpf_program__section_name(program);
    LsmRecipe recipe;
    recipe.name = ::bpf_program__name(program);
    recipe.flags = options->prog_flags | (section.contains("lsm.s/") ? BPF_F_SLEEPABLE : 0U);
    recipe.instructions.assign(::bpf_program__insns(program),
                               ::bpf_program__insns(program) + ::bpf_program__insn_cnt(program));
    if (const int error = name_maps_by_id(recipe.instructions)) return error;
    const auto* functions = static_cast<const std::byte*>(options->func_info);
    recipe.function_size = options->func_info_rec_size;
    recipe.functions.assign(functions, functions + std::size_t{options->func_info_cnt} * recipe.function_size);
    if (kept.recipes.btf.empty())
        if (const int error = read_btf(static_cast<int>(options->prog_btf_fd), kept.recipes.btf)) return error;

    // What libbpf loads: without a hook it is verified at once.
    bpf_insn nothing[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
                          {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    options->expected_attach_type = static_cast<bpf_attach_type>(0);
    options->prog_flags = 0;
    options->func_info = options->line_info = nullptr;
    options->func_info_cnt = options->line_info_cnt = 0;
    kept.recipes.programs.push_back(std::move(recipe));
    kept.hooks.push_back("bpf_lsm_" + std::string(section.substr(section.find('/') + 1)));
    if (const int error = ::bpf_program__set_type(program, BPF_PROG_TYPE_SOCKET_FILTER)) return error;
    return ::bpf_program__set_insns(program, nothing, std::size(nothing));
}

}  // namespace bpfwarden::enforce
