// SPDX-License-Identifier: Apache-2.0
#include "filter/object.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "base/text.hpp"
#include "bytecode/instruction.hpp"
#include "filter/elf_btf.hpp"
#include "filter/object_maps.hpp"

namespace bpfwarden::filter {

namespace {

constexpr std::size_t most_instructions = 65'536;
constexpr std::size_t most_data = 1U << 20;
// Of what is shown in messages.
constexpr std::size_t longest_line = 160, longest_name = 80;
constexpr std::uint32_t relocates_64 = 1, relocates_call = 10;  // R_BPF_64_64, R_BPF_64_32

class ObjectReader {
  public:
    ObjectReader(const ElfFile& file, const SetContents& sets) : file_(file), sets_(sets) {}

    Result<Object> run() {
        const auto main = file_.find("seccomp");
        if (main == 0)
            return fail(Error(Code::bad_input, "the object has no filter")
                            .because("it has no section `seccomp`")
                            .advise("write BPFW_FILTER before the function that decides"));
        const auto functions = std::ranges::count_if(
            file_.symbols(), [&](const ElfSymbol& one) { return one.section == main && one.type == STT_FUNC; });
        if (functions != 1)
            return fail(Error(Code::bad_input, fmt::format("section `seccomp` has {} functions", functions))
                            .because("one function decides about every system call")
                            .advise("write BPFW_FILTER before that one only"));
        if (const auto section = file_.find(".BTF"); section != 0)
            btf_ = BW_TRY(ObjectBtf::read(file_.sections()[section].bytes));
        BW_TRY(add_code(main));
        if (const auto text = file_.find(".text"); text != 0) BW_TRY(add_code(text));
        if (btf_) {
            declared_ = BW_TRY(read_maps(file_, *btf_, sets_, object_.warnings));
        } else if (file_.find(".maps") != 0) {
            return fail(Error(Code::bad_input, "the object's maps cannot be read")
                            .because("it has no BTF, which describes them")
                            .advise("compile it with -g"));
        }
        for (const auto& one : declared_) object_.program.maps.push_back(one.map);
        for (const auto& [section, start] : starts_) BW_TRY(relocate(section, start));
        return std::move(object_);
    }

  private:
    Result<> add_code(std::size_t index) {
        const auto& section = file_.sections()[index];
        auto& code = object_.program.code;
        const std::size_t start = code.size(), count = section.bytes.size() / sizeof(bpf_insn);
        if (section.bytes.size() % sizeof(bpf_insn) != 0 || count > most_instructions - start)
            return fail(Error(Code::bad_input, "the filter's code cannot be read")
                            .because("it is no whole number of instructions, or more than 65536"));
        for (std::size_t at = 0; at < count; ++at) {
            const Blob bytes = section.bytes.subspan(at * sizeof(bpf_insn), sizeof(bpf_insn));
            bpf_insn insn{};
            insn.code = bytes[0];
            insn.dst_reg = bytes[1] & 0xfU;
            insn.src_reg = static_cast<std::uint8_t>(bytes[1] >> 4) & 0xfU;
            insn.off = number_at<std::int16_t>(bytes, 2);
            insn.imm = number_at<std::int32_t>(bytes, 4);
            code.push_back(insn);
        }
        starts_.emplace(index, start);
        const auto ext = file_.find(".BTF.ext");
        if (!btf_ || ext == 0) return {};
        for (const auto& line : source_lines(*btf_, file_.sections()[ext].bytes, section.name)) {
            const std::size_t at = start + line.offset / sizeof(bpf_insn);
            auto& lines = object_.program.lines;
            if (at >= code.size() || lines.size() > most_instructions) break;
            auto file = line.file;
            if (const auto slash = file.rfind('/'); slash != std::string_view::npos) file.remove_prefix(slash + 1);
            lines.push_back({static_cast<std::uint32_t>(at), std::string(file.substr(0, longest_name)),
                             shown(line.text), line.line});
        }
        return {};
    }

    static std::string shown(std::string_view line) {
        constexpr std::string_view blank = " \t";
        line.remove_prefix(std::min(line.find_first_not_of(blank), line.size()));
        std::string text(line.substr(0, longest_line));
        std::ranges::replace(text, '\t', ' ');
        return text;
    }

    Failure refuse(std::size_t at, std::string what, std::string hint) const {
        const auto* line = object_.program.line_of(at);
        if (line == nullptr)
            return fail(Error(Code::bad_input, fmt::format("instruction {}: {}", at, what)).advise(std::move(hint)));
        return fail(Error(Code::bad_input, fmt::format("{}:{}: {}", printable(line->file), line->line, what))
                        .because(fmt::format("`{}`", printable(line->text)))
                        .advise(std::move(hint)));
    }

    // "`name`" of what is at `offset` of a section, where a symbol says so.
    std::string name_of(const ElfSymbol& symbol, std::int64_t offset, std::string_view otherwise) const {
        if (!symbol.name.empty()) return "`" + printable(symbol.name) + "`";
        const auto at = static_cast<std::uint64_t>(offset);
        for (const auto& one : file_.symbols())
            if (one.section == symbol.section && !one.name.empty() &&
                (one.type == STT_OBJECT || one.type == STT_FUNC) && one.value <= at && at - one.value < one.size)
                return "`" + printable(one.name) + "`";
        return std::string(otherwise);
    }

    Result<> relocate(std::size_t section, std::size_t start) {
        auto& code = object_.program.code;
        const std::size_t end = start + file_.sections()[section].bytes.size() / sizeof(bpf_insn);
        std::vector<bool> relocated(end - start);
        for (const auto& one : file_.relocations(section)) {
            if (one.offset % sizeof(bpf_insn) != 0 || one.offset / sizeof(bpf_insn) >= end - start)
                return refuse(start, "the filter's code cannot be linked", "compile it with clang -target bpf");
            const std::size_t at = start + one.offset / sizeof(bpf_insn);
            relocated[at - start] = true;
            const auto& symbol = file_.symbols()[one.symbol];
            const bool is_call = bytecode::kind_of(code[at]) == bytecode::Kind::call;
            if (symbol.section == SHN_UNDEF || symbol.section >= file_.sections().size())
                return refuse(
                    at, fmt::format("uses `{}`, which is not in the object", printable(symbol.name)),
                    "a filter calls only functions of its own, bpfw_has() and bpfw_get(), and has no externs");
            if (is_call && one.type == relocates_call)
                BW_TRY(link_call(at, symbol));
            else if (bytecode::kind_of(code[at]) == bytecode::Kind::wide && one.type == relocates_64 && at + 1 < end)
                BW_TRY(link_address(at, symbol));
            else
                return refuse(at, "has a relocation of an unknown kind", "compile it with clang -target bpf");
        }
        // Numbers of ours are for what was linked: nothing else may name a map or data.
        for (std::size_t at = start; at < end; ++at) {
            if (bytecode::kind_of(code[at]) != bytecode::Kind::wide) continue;
            if (!relocated[at - start] && code[at].src_reg != 0)
                return refuse(at, "names a map by number", "declare it with BPFW_SET or BPFW_MAP");
            ++at;
        }
        return {};
    }

    Result<> link_call(std::size_t at, const ElfSymbol& symbol) {
        auto& insn = object_.program.code[at];
        const auto start = starts_.find(symbol.section);
        if (start == starts_.end() || symbol.value % sizeof(bpf_insn) != 0)
            return refuse(at, fmt::format("calls `{}`, which is in no section of code", printable(symbol.name)),
                          "put functions into no section of their own");
        const std::int64_t to =
            static_cast<std::int64_t>(start->second) +
            static_cast<std::int64_t>(std::min<std::uint64_t>(symbol.value, 1U << 30) / sizeof(bpf_insn)) + insn.imm +
            1;
        if (to < 0 || to >= static_cast<std::int64_t>(object_.program.code.size()))
            return refuse(at, "calls what is no function", "compile it with clang -target bpf");
        insn.src_reg = BPF_PSEUDO_CALL;
        insn.imm = static_cast<std::int32_t>(to - static_cast<std::int64_t>(at) - 1);
        return {};
    }

    Result<> link_address(std::size_t at, const ElfSymbol& symbol) {
        auto& insn = object_.program.code[at];
        auto& second = object_.program.code[at + 1];
        const auto& section = file_.sections()[symbol.section];
        if (starts_.contains(symbol.section))
            return refuse(at, "takes the address of the function " + name_of(symbol, insn.imm, ""),
                          "call functions by their names: choose with `switch` or `if` which one; and write loops as "
                          "`for` with a constant bound, not with bpf_loop()");
        if (section.name == ".maps") {
            const auto offset = symbol.value + static_cast<std::uint64_t>(std::int64_t{insn.imm});
            const auto found = std::ranges::find(declared_, offset, &DeclaredMap::offset);
            if (found == declared_.end())
                return refuse(at, "reads the declaration of a map", "give bpfw_has() and bpfw_get() its address");
            insn.src_reg = BPF_PSEUDO_MAP_FD;
            insn.imm = static_cast<std::int32_t>(found - declared_.begin());
            second.imm = 0;
            return {};
        }
        const bool has_pointers = !file_.relocations(symbol.section).empty();
        if (has_pointers)
            return refuse(
                at, fmt::format("reads a table of pointers (in section `{}`)", printable(section.name)),
                "keep the data itself in the table, or indices: pointers have no value before the filter is loaded");
        if ((section.flags & SHF_WRITE) != 0 || section.type != SHT_PROGBITS)
            return refuse(at,
                          fmt::format("uses {}, which can be written", name_of(symbol, insn.imm, "a global variable")),
                          "make it const: a filter has no memory from one call to the next");
        const auto [known, is_new] = data_.try_emplace(symbol.section, object_.program.read_only.size());
        if (is_new) {
            total_data_ += section.bytes.size();
            if (total_data_ > most_data)
                return refuse(at, "has more than 1 MiB of constant data", "make tables smaller");
            object_.program.read_only.push_back(
                {printable(section.name), {section.bytes.begin(), section.bytes.end()}});
        }
        const std::int64_t offset =
            static_cast<std::int64_t>(std::min<std::uint64_t>(symbol.value, most_data)) + insn.imm;
        if (offset < std::numeric_limits<std::int32_t>::min() || offset > std::numeric_limits<std::int32_t>::max())
            return refuse(at, "takes an address far outside of constant data", "look at the index");
        insn.src_reg = BPF_PSEUDO_MAP_VALUE;
        insn.imm = static_cast<std::int32_t>(known->second);
        second.imm = static_cast<std::int32_t>(offset);
        return {};
    }

    const ElfFile& file_;
    const SetContents& sets_;
    Object object_;
    std::optional<ObjectBtf> btf_;
    std::vector<DeclaredMap> declared_;
    std::map<std::size_t, std::size_t> starts_;  // of sections of code: their first instruction
    std::map<std::size_t, std::size_t> data_;    // of sections of data: which of read_only
    std::size_t total_data_ = 0;
};

}  // namespace

Result<Object> read_object(Blob elf, const SetContents& sets) {
    const auto file = BW_TRY(ElfFile::read(elf));
    return ObjectReader(file, sets).run();
}

}  // namespace bpfwarden::filter
