// SPDX-License-Identifier: Apache-2.0
#include "filter/object_maps.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/text.hpp"

namespace bpfwarden::filter {

namespace {

using bytecode::MapKind;

constexpr std::uint64_t most_entries = 65'536;
constexpr std::uint64_t most_bytes = 1U << 24;

struct Declaration {
    std::uint64_t type = 0, entries = 0;
    std::optional<std::uint32_t> key, value;  // types
    std::uint64_t key_size = 0, value_size = 0;
};

class MapReader {
  public:
    MapReader(const ElfFile& file, const ObjectBtf& btf, const SetContents& sets, std::vector<Warning>& warnings)
        : file_(file), btf_(btf), sets_(sets), warnings_(warnings) {}

    Result<std::vector<DeclaredMap>> run() {
        std::vector<DeclaredMap> maps;
        std::set<std::string_view> names;
        const auto section = file_.find(".maps");
        for (const auto& symbol : file_.symbols()) {
            if (section == 0 || symbol.section != section || symbol.type != STT_OBJECT) continue;
            if (!names.insert(symbol.name).second) continue;
            name_ = printable(symbol.name);
            symbol_ = symbol.name;
            maps.push_back({symbol.value, BW_TRY(one())});
            total_ +=
                maps.back().map.entries.size() * (std::uint64_t{maps.back().map.key_size} + maps.back().map.value_size);
            if (total_ > most_bytes) return wrong("with it, all maps have more than 16 MiB", "make them smaller");
        }
        for (const auto& [name, numbers] : sets_)
            if (!names.contains(name))
                return fail(Error(Code::bad_input, fmt::format("there is no set {}", quoted(name)))
                                .because("numbers were given for it, and the filter does not declare it")
                                .advise(names.empty() ? "declare it with BPFW_SET_FILE"
                                                      : fmt::format("it has {}", fmt::join(names, ", "))));
        return maps;
    }

  private:
    Failure wrong(std::string why, std::string hint) const {
        return fail(Error(Code::bad_input, fmt::format("the map `{}` cannot be used", name_))
                        .because(std::move(why))
                        .advise(std::move(hint)));
    }

    Result<Declaration> declaration() const {
        Declaration found;
        const auto number = [&](std::uint32_t type) -> std::optional<std::uint64_t> {
            const auto pointed = btf_.pointed_to(type);
            const auto array = pointed ? btf_.array(*pointed) : std::nullopt;
            if (!array) return std::nullopt;
            return array->count;
        };
        for (const auto& member : btf_.members(btf_.variable(symbol_))) {
            if (member.name == "type") found.type = number(member.type).value_or(0);
            if (member.name == "max_entries") found.entries = number(member.type).value_or(0);
            if (member.name == "key_size") found.key_size = number(member.type).value_or(0);
            if (member.name == "value_size") found.value_size = number(member.type).value_or(0);
            if (member.name == "key") found.key = btf_.pointed_to(member.type);
            if (member.name == "value") found.value = btf_.pointed_to(member.type);
        }
        if (found.key) found.key_size = btf_.size(*found.key).value_or(0);
        if (found.value) found.value_size = btf_.size(*found.value).value_or(0);
        if (found.type == 0 || found.key_size == 0)
            return wrong("its declaration says neither which type it has nor what its keys are",
                         "declare it with BPFW_SET, BPFW_MAP or BPFW_LPM4, and compile with -g");
        return found;
    }

    Result<bytecode::Map> one() {
        const auto declared = BW_TRY(declaration());
        bytecode::Map map{.name = name_};
        switch (declared.type) {
            case BPF_MAP_TYPE_HASH:
                map.kind = MapKind::hash;
                break;
            case BPF_MAP_TYPE_ARRAY:
                map.kind = MapKind::array;
                break;
            case BPF_MAP_TYPE_LPM_TRIE:
                map.kind = MapKind::lpm_trie;
                break;
            default:
                return wrong(
                    fmt::format("it is of type {}, and a filter has sets, maps, arrays and tries only", declared.type),
                    "declare it with BPFW_SET, BPFW_MAP or BPFW_LPM4");
        }
        if (declared.entries > most_entries || declared.key_size > 256 || declared.value_size > 4096)
            return wrong(fmt::format("it is declared with {} entries, keys of {} bytes and values of {}",
                                     declared.entries, declared.key_size, declared.value_size),
                         fmt::format("declare at most {} entries, 256 and 4096 bytes", most_entries));
        map.key_size = static_cast<std::uint32_t>(declared.key_size);
        map.value_size = static_cast<std::uint32_t>(declared.value_size);
        if (declared.entries * (declared.key_size + declared.value_size) > most_bytes)
            return wrong("it has more than 16 MiB", "make it smaller");
        BW_TRY(fill(map, declared));
        BW_TRY(bytecode::check({.code = {}, .maps = {map}, .read_only = {}, .lines = {}}));
        return map;
    }

    // The bytes of a variable in one of our sections.
    std::optional<Blob> contents(std::string_view section_name, std::string_view suffix) const {
        const auto section = file_.find(section_name);
        if (section == 0) return std::nullopt;
        const auto name = std::string(symbol_) + std::string(suffix);
        for (const auto& symbol : file_.symbols()) {
            if (symbol.section != section || symbol.name != name || symbol.type != STT_OBJECT) continue;
            const Blob bytes = file_.sections()[section].bytes;
            if (!is_inside(bytes.size(), symbol.value, symbol.size)) return Blob();
            return bytes.subspan(symbol.value, symbol.size);
        }
        return std::nullopt;
    }

    Result<> fill(bytecode::Map& map, const Declaration& declared) {
        if (map.kind == MapKind::array) {
            if (sets_.contains(symbol_))
                return wrong("numbers were given for it, and it is no set", "declare it with BPFW_SET_FILE");
            for (std::uint64_t at = 0; at < declared.entries; ++at)
                map.entries.push_back({bytecode::bytes_of(at, 4), bytecode::Bytes(map.value_size)});
            warnings_.push_back(
                {"", fmt::format("the array `{}` holds zeros only: an array of constants is a better place", name_)});
            return {};
        }
        if (const auto keys = contents(".bpfw.keys", "__keys")) {
            for (std::size_t at = 0; is_inside(keys->size(), at, map.key_size); at += map.key_size)
                BW_TRY(add(map, keys->subspan(at, map.key_size), bytecode::Bytes(map.value_size)));
        } else if (const auto entries = contents(".bpfw.init", "__init")) {
            BW_TRY(fill_with_values(map, *entries));
        }
        const bool from_file = contents(".bpfw.file", "__file").has_value();
        const auto given = sets_.find(symbol_);
        if (given == sets_.end() && from_file)
            return wrong("its numbers come from a file, and none was given",
                         fmt::format("give one: --map {}=FILE", name_));
        if (given != sets_.end()) BW_TRY(fill_from(map, given->second));
        if (map.entries.size() > declared.entries)
            return wrong(
                fmt::format("it is declared with {} entries and gets {}", declared.entries, map.entries.size()),
                "declare more");
        if (map.entries.empty())
            warnings_.push_back({"", fmt::format("nothing is in `{}`: a lookup in it never finds anything", name_)});
        return {};
    }

    Result<> fill_with_values(bytecode::Map& map, Blob entries) {
        const auto array = btf_.array(btf_.variable(std::string(symbol_) + "__init"));
        const auto size = array ? btf_.size(array->element) : std::nullopt;
        std::optional<std::uint32_t> key, value;
        if (array)
            for (const auto& member : btf_.members(array->element)) {
                if (member.name == "key") key = member.offset;
                if (member.name == "value") value = member.offset;
            }
        if (!size || *size == 0 || !key || !value || !is_inside(*size, *key, map.key_size) ||
            !is_inside(*size, *value, map.value_size))
            return wrong("its contents are not declared as its keys and values are",
                         "declare it with BPFW_MAP, and compile with -g");
        for (std::size_t at = 0; is_inside(entries.size(), at, *size); at += *size) {
            const Blob entry = entries.subspan(at, *size);
            const Blob bytes = entry.subspan(*value, map.value_size);
            BW_TRY(add(map, entry.subspan(*key, map.key_size), {bytes.begin(), bytes.end()}));
        }
        return {};
    }

    Result<> fill_from(bytecode::Map& map, const std::vector<std::uint64_t>& numbers) {
        if (map.kind != MapKind::hash || map.key_size > 8)
            return wrong("numbers were given for it, and it is no set of numbers", "declare it with BPFW_SET_FILE");
        if (numbers.size() > most_entries) return wrong("too many numbers were given for it", "give fewer");
        for (const auto number : numbers) {
            if (map.key_size < 8 && number >> (8 * map.key_size) != 0)
                return wrong(fmt::format("{:#x} does not fit into its keys of {} bits", number, 8 * map.key_size),
                             "declare it with a wider type");
            const auto key = bytecode::bytes_of(number, map.key_size);
            BW_TRY(add(map, key, bytecode::Bytes(map.value_size)));
        }
        return {};
    }

    Result<> add(bytecode::Map& map, Blob key, bytecode::Bytes value) {
        if (map.kind == MapKind::lpm_trie && key.size() > 4) {
            // What is behind the prefix is of no meaning.
            const auto bits = bytecode::number_in(key.first(4));
            if (bits > 8 * (key.size() - 4))
                return wrong(fmt::format("a prefix of {} bits is longer than its keys", bits),
                             "IPv4 addresses have 32 bits");
        }
        const bytecode::Bytes copy(key.begin(), key.end());
        const auto [at, is_new] = seen(map).try_emplace(copy, value);
        if (!is_new) {
            if (at->second == value) return {};
            return wrong("a key is in it twice, with different values", "leave one of them out");
        }
        map.entries.push_back({copy, std::move(value)});
        return {};
    }

    std::map<bytecode::Bytes, bytecode::Bytes>& seen(const bytecode::Map& map) {
        if (map.entries.empty()) seen_.clear();
        return seen_;
    }

    const ElfFile& file_;
    const ObjectBtf& btf_;
    const SetContents& sets_;
    std::vector<Warning>& warnings_;
    std::string name_;
    std::string_view symbol_;
    std::uint64_t total_ = 0;
    std::map<bytecode::Bytes, bytecode::Bytes> seen_;
};

}  // namespace

Result<std::vector<DeclaredMap>> read_maps(const ElfFile& file, const ObjectBtf& btf, const SetContents& sets,
                                           std::vector<Warning>& warnings) {
    return MapReader(file, btf, sets, warnings).run();
}

}  // namespace bpfwarden::filter
