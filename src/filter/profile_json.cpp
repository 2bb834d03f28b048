// SPDX-License-Identifier: Apache-2.0
// The only file here that sees nlohmann-json (4 s to compile).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "base/text.hpp"
#include "filter/action.hpp"
#include "filter/profile_document.hpp"

namespace bpfwarden::filter {

namespace {

using nlohmann::json;

constexpr std::size_t max_depth = 16;
// Names times conditions of all rules: what the work of a profile grows with.
constexpr std::size_t max_conditions = 200'000;
constexpr std::size_t max_rule_conditions = 64;
constexpr unsigned argument_count = 6;

Failure wrong(const std::string& path, std::string why, std::string hint = "") {
    return fail(
        Error(Code::bad_input, path.empty() ? "the profile is wrong" : fmt::format("the profile is wrong at {}", path))
            .because(std::move(why))
            .advise(std::move(hint)));
}

std::string below(const std::string& path, std::string_view key) {
    const bool plain = !key.empty() && std::ranges::all_of(key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (!plain) return fmt::format("{}[{}]", path, bpfwarden::quoted(key.substr(0, 80)));
    return fmt::format("{}{}{}", path, path.empty() ? "" : ".", key.substr(0, 80));
}

// Sees what the parsed document no longer shows: a key given twice, how deep it goes, numbers that are none of 64 bits.
class Precheck : public nlohmann::json_sax<json> {
  public:
    bool null() override { return value(); }
    bool boolean(bool) override { return value(); }
    bool number_integer(number_integer_t) override { return value(); }
    bool number_unsigned(number_unsigned_t) override { return value(); }
    bool number_float(number_float_t, const string_t& text) override {
        return value() &&
               refuse(fmt::format("{} is not a whole number of at most 64 bits", bpfwarden::quoted(text.substr(0, 40))),
                      "write it out, without a fraction or an exponent");
    }
    bool string(string_t&) override { return value(); }
    bool binary(binary_t&) override { return value(); }
    bool start_object(std::size_t) override {
        if (levels_.size() == 2 && levels_.front().key == "syscalls") rule_lines.push_back(line);
        return value() && enter(false);
    }
    bool start_array(std::size_t) override { return value() && enter(true); }
    bool end_object() override { return leave(); }
    bool end_array() override { return leave(); }
    bool key(string_t& name) override {
        auto& level = levels_.back();
        level.key = name;
        if (levels_.size() == 1 && name == "defaultAction") default_line = line;
        return level.keys.insert(name).second ||
               refuse("this key is there twice", "programs differ in which one they take: leave one out");
    }
    bool parse_error(std::size_t byte, const std::string&, const nlohmann::detail::exception& problem) override {
        // "[json.exception.parse_error.101] parse error at line 1, column 2: …"
        std::string_view text = problem.what();
        if (const auto end = text.find("] "); end != std::string_view::npos) text.remove_prefix(end + 2);
        error = Error(Code::bad_input, "the profile is not JSON")
                    .because(printable(text.substr(0, 200)))
                    .advise(fmt::format("see byte {}", byte));
        return false;
    }

    std::optional<Error> error;

    // As far as it was read.
    unsigned line = 1;
    // On which the rules and the default action begin.
    std::vector<unsigned> rule_lines;
    unsigned default_line = 0;

  private:
    struct Level {
        bool is_array;
        std::size_t next = 0;
        std::string key = {};
        std::set<std::string> keys = {};
    };

    bool value() {
        if (!levels_.empty() && levels_.back().is_array) ++levels_.back().next;
        return true;
    }
    bool enter(bool is_array) {
        if (levels_.size() == max_depth) return refuse(fmt::format("it is nested more than {} deep", max_depth), "");
        levels_.push_back({is_array});
        return true;
    }
    bool leave() {
        levels_.pop_back();
        return true;
    }
    bool refuse(std::string why, std::string hint) {
        std::string path;
        for (const auto& level : levels_)
            path = level.is_array ? fmt::format("{}[{}]", path, level.next - 1) : below(path, level.key);
        error = wrong(path, std::move(why), std::move(hint)).error();
        return false;
    }
    std::vector<Level> levels_;
};

// Text that counts its lines while it is read: the parser is given no more than it has asked for.
class CountedText {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    CountedText(const char* at, unsigned* line) : at_(at), line_(line) {}
    reference operator*() const { return *at_; }
    CountedText& operator++() {
        if (*at_ == '\n') ++*line_;
        ++at_;
        return *this;
    }
    CountedText operator++(int) {
        const auto before = *this;
        ++*this;
        return before;
    }
    bool operator==(const CountedText& other) const { return at_ == other.at_; }

  private:
    const char* at_;
    unsigned* line_;
};

std::string kind_of(const json& value) {
    switch (value.type()) {
        case json::value_t::null:
            return "null";
        case json::value_t::object:
            return "an object";
        case json::value_t::array:
            return "a list";
        case json::value_t::string:
            return "text";
        case json::value_t::boolean:
            return "true or false";
        default:
            return "a number";
    }
}

// A value and where it is. What is null is as if it were not there, as it is for the programs that write profiles.
struct Place {
    const json* value;
    std::string path;

    bool there() const { return value != nullptr && !value->is_null(); }
    Place at(const char* key) const {
        const auto found = value->find(key);
        return {found == value->end() ? nullptr : &*found, below(path, key)};
    }
    Place at(std::size_t index) const { return {&(*value)[index], fmt::format("{}[{}]", path, index)}; }
};

Result<> must_be_object(const Place& place) {
    if (place.value->is_object()) return {};
    return wrong(place.path, fmt::format("an object is needed, and this is {}", kind_of(*place.value)));
}

// The keys that an object may have.
using Keys = std::initializer_list<std::string_view>;

std::vector<Warning> unknown_keys(const Place& place, Keys keys) {
    std::vector<Warning> unknown;
    for (const auto& [key, value] : place.value->items())
        if (std::ranges::find(keys, key) == keys.end()) {
            const auto near = nearest(key, std::span(keys.begin(), keys.size()));
            unknown.push_back({below(place.path, key), near ? fmt::format("did you mean {}?", *near)
                                                            : std::string("comments go into `comment`")});
        }
    return unknown;
}

Result<> only_keys(const Place& place, Keys keys) {
    if (const auto unknown = unknown_keys(place, keys); !unknown.empty())
        return wrong(unknown.front().where, "this key is not known", unknown.front().text);
    return {};
}

void warn_of_other_keys(const Place& place, Keys keys, ProfileDocument& document) {
    for (auto& unknown : unknown_keys(place, keys))
        document.warnings.push_back({std::move(unknown.where), "this key is not known; " + unknown.text});
}

Result<std::size_t> list_size(const Place& place) {
    if (!place.there()) return 0;
    if (!place.value->is_array())
        return wrong(place.path, fmt::format("a list is needed, and this is {}", kind_of(*place.value)));
    return place.value->size();
}

Result<std::string> text_at(const Place& place) {
    if (!place.there()) return "";
    if (!place.value->is_string())
        return wrong(place.path, fmt::format("text is needed, and this is {}", kind_of(*place.value)));
    return place.value->get<std::string>();
}

Result<std::string> needed_text_at(const Place& place) {
    auto text = BW_TRY(text_at(place));
    if (text.empty()) return wrong(place.path, "it is missing or empty");
    return text;
}

Result<std::vector<std::string>> texts_at(const Place& place) {
    std::vector<std::string> texts;
    const std::size_t size = BW_TRY(list_size(place));
    for (std::size_t i = 0; i < size; ++i) texts.push_back(BW_TRY(needed_text_at(place.at(i))));
    return texts;
}

Result<std::optional<std::uint64_t>> number_at(const Place& place, std::uint64_t largest = ~std::uint64_t{0}) {
    if (!place.there()) return std::nullopt;
    if (!place.value->is_number())
        return wrong(place.path, fmt::format("a number is needed, and this is {}", kind_of(*place.value)));
    if (!place.value->is_number_unsigned())
        return wrong(place.path, fmt::format("{} is below zero", place.value->dump()),
                     "write -1 of a 32-bit argument as 4294967295, of a 64-bit one as 18446744073709551615");
    const auto number = place.value->get<std::uint64_t>();
    if (number > largest) return wrong(place.path, fmt::format("{} is more than {}", number, largest));
    return number;
}

template <class T>
struct Named {
    std::string_view name;
    T value;
};

template <class T, std::size_t count>
Result<T> look_up(const Place& place, const Named<T> (&table)[count], std::string_view what) {
    const auto name = BW_TRY(needed_text_at(place));
    const auto* at = std::ranges::find(table, name, &Named<T>::name);
    if (at != std::end(table)) return at->value;
    std::vector<std::string_view> names;
    for (const auto& one : table) names.push_back(one.name);
    const auto near = nearest(name, names);
    return wrong(place.path, fmt::format("{} is no {}", bpfwarden::quoted(name), what),
                 near ? fmt::format("did you mean {}?", *near) : fmt::format("one of {}", fmt::join(names, ", ")));
}

constexpr Named<std::uint32_t> actions[] = {
    {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
    {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
    {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
    {"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO},
    {"SCMP_ACT_TRACE", SECCOMP_RET_TRACE},
    {"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
    {"SCMP_ACT_LOG", SECCOMP_RET_LOG},
    {"SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF},
};
constexpr Named<Operator> operators[] = {
    {"SCMP_CMP_NE", Operator::not_equal},
    {"SCMP_CMP_LT", Operator::below},
    {"SCMP_CMP_LE", Operator::at_most},
    {"SCMP_CMP_EQ", Operator::equal},
    {"SCMP_CMP_GE", Operator::at_least},
    {"SCMP_CMP_GT", Operator::above},
    {"SCMP_CMP_MASKED_EQ", Operator::masked_equal},
};
constexpr Named<std::uint32_t> filter_flags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};

// The action with its errno: Docker writes a number, Podman a name too.
Result<std::uint32_t> action_at(const Place& action_place, const Place& number_place, const Place& name_place) {
    const std::uint32_t action = BW_TRY(look_up(action_place, actions, "action"));
    auto number = BW_TRY(number_at(number_place, 0xffff));
    const auto name = BW_TRY(text_at(name_place));
    if (!name.empty()) {
        const auto named = parse_errno(name);
        if (!named)
            return wrong(name_place.path, fmt::format("{} is no errno", bpfwarden::quoted(name)),
                         "a name (EPERM) or a number");
        if (number && *number != *named)
            return wrong(name_place.path, fmt::format("it is {}, and {} is {}", *named, number_place.path, *number),
                         "Docker takes the number and Podman the name: make them agree");
        number = *named;
    }
    if (action != SECCOMP_RET_ERRNO && action != SECCOMP_RET_TRACE) {
        if (number)
            return wrong(name.empty() ? number_place.path : name_place.path, "the action has no errno",
                         "leave it out, or use SCMP_ACT_ERRNO or SCMP_ACT_TRACE");
        return action;
    }
    return action | static_cast<std::uint32_t>(number.value_or(EPERM));
}

Result<ArgumentCheck> check_at(const Place& place) {
    BW_TRY(must_be_object(place));
    BW_TRY(only_keys(place, {"index", "value", "valueTwo", "op", "comment"}));
    ArgumentCheck check;
    const auto index = BW_TRY(number_at(place.at("index"), argument_count - 1));
    if (!index) return wrong(place.at("index").path, "it is missing", "0 is the first argument");
    const auto value = BW_TRY(number_at(place.at("value")));
    if (!value) return wrong(place.at("value").path, "it is missing");
    const auto second = BW_TRY(number_at(place.at("valueTwo")));
    check.argument = static_cast<unsigned>(*index);
    check.op = BW_TRY(look_up(place.at("op"), operators, "operator"));
    check.value = *value;
    if (check.op == Operator::masked_equal) {
        check.mask = *value;
        check.value = second.value_or(0);
    }
    return check;
}

Result<When> when_at(const Place& place) {
    When when;
    if (!place.there()) return when;
    BW_TRY(must_be_object(place));
    BW_TRY(only_keys(place, {"caps", "arches", "minKernel", "comment"}));
    when.capabilities = BW_TRY(texts_at(place.at("caps")));
    when.arches = BW_TRY(texts_at(place.at("arches")));
    const auto kernel = BW_TRY(text_at(place.at("minKernel")));
    if (kernel.empty()) return when;
    when.min_kernel = parse_kernel(kernel);
    if (!when.min_kernel || text(*when.min_kernel) != kernel)
        return wrong(place.at("minKernel").path, fmt::format("{} is no version of a kernel", bpfwarden::quoted(kernel)),
                     "two numbers with a point, like 4.8");
    return when;
}

Result<RuleEntry> rule_at(const Place& place, ProfileDocument& document) {
    BW_TRY(must_be_object(place));
    BW_TRY(
        only_keys(place, {"name", "names", "action", "errnoRet", "errno", "args", "includes", "excludes", "comment"}));
    RuleEntry rule;
    rule.path = place.path;
    rule.names = BW_TRY(texts_at(place.at("names")));
    if (auto name = BW_TRY(text_at(place.at("name"))); !name.empty()) {
        if (!rule.names.empty()) return wrong(place.at("name").path, "there is `names` too", "use one of them");
        rule.names.push_back(std::move(name));
    }
    if (rule.names.empty()) return wrong(place.at("names").path, "no system call is named");
    rule.action = BW_TRY(action_at(place.at("action"), place.at("errnoRet"), place.at("errno")));
    const auto args = place.at("args");
    const std::size_t count = BW_TRY(list_size(args));
    if (count > max_rule_conditions)
        return wrong(args.path, fmt::format("there are {} conditions, more than {}", count, max_rule_conditions));
    for (std::size_t i = 0; i < count; ++i) {
        const auto check = BW_TRY(check_at(args.at(i)));
        rule.checks.push_back(check);
        if (check.op == Operator::masked_equal && (check.value & ~check.mask) != 0)
            document.warnings.push_back(
                {args.at(i).path, "valueTwo has bits outside of the mask (value): they do not count"});
    }
    rule.includes = BW_TRY(when_at(place.at("includes")));
    rule.excludes = BW_TRY(when_at(place.at("excludes")));
    return rule;
}

Result<> read_architectures(const Place& top, ProfileDocument& document) {
    document.architectures = BW_TRY(texts_at(top.at("architectures")));
    const auto map = top.at("archMap");
    const std::size_t count = BW_TRY(list_size(map));
    for (std::size_t i = 0; i < count; ++i) {
        const auto entry = map.at(i);
        BW_TRY(must_be_object(entry));
        warn_of_other_keys(entry, {"architecture", "subArchitectures", "comment"}, document);
        ArchEntry arch;
        arch.architecture = BW_TRY(needed_text_at(entry.at("architecture")));
        arch.sub_architectures = BW_TRY(texts_at(entry.at("subArchitectures")));
        document.arch_map.push_back(std::move(arch));
    }
    if (!document.architectures.empty() && !document.arch_map.empty())
        return wrong(map.path, "there is `architectures` too", "use one of them");
    return {};
}

Result<> read_flags(const Place& top, ProfileDocument& document) {
    const auto flags = top.at("flags");
    document.has_flags = flags.there();
    const std::size_t count = BW_TRY(list_size(flags));
    for (std::size_t i = 0; i < count; ++i) document.flags |= BW_TRY(look_up(flags.at(i), filter_flags, "flag"));
    document.listener_path = BW_TRY(text_at(top.at("listenerPath")));
    document.listener_metadata = BW_TRY(text_at(top.at("listenerMetadata")));
    if (!document.listener_metadata.empty() && document.listener_path.empty())
        return wrong("listenerMetadata", "there is no listenerPath to send it to");
    return {};
}

Result<ProfileDocument> read_document(const Place& top) {
    BW_TRY(must_be_object(top));
    ProfileDocument document;
    if (top.value->contains("ociVersion"))
        return wrong("ociVersion", "this is a whole container configuration", "give its linux.seccomp");
    warn_of_other_keys(top,
                       {"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "syscalls",
                        "flags", "listenerPath", "listenerMetadata", "comment"},
                       document);
    document.default_action =
        BW_TRY(action_at(top.at("defaultAction"), top.at("defaultErrnoRet"), top.at("defaultErrno")));
    BW_TRY(read_architectures(top, document));
    BW_TRY(read_flags(top, document));
    const auto rules = top.at("syscalls");
    const std::size_t count = BW_TRY(list_size(rules));
    std::size_t conditions = 0;
    for (std::size_t i = 0; i < count; ++i) {
        auto rule = BW_TRY(rule_at(rules.at(i), document));
        conditions += rule.names.size() * (1 + rule.checks.size());
        if (conditions > max_conditions)
            return wrong(rule.path, fmt::format("there are more than {} names and conditions", max_conditions));
        document.rules.push_back(std::move(rule));
    }
    return document;
}

}  // namespace

Result<ProfileDocument> parse_profile(std::string_view text) {
    if (text.size() > max_profile_bytes)
        return wrong("", fmt::format("it has {} bytes, more than {}", text.size(), max_profile_bytes));
    Precheck precheck;
    if (!json::sax_parse(CountedText(text.data(), &precheck.line),
                         CountedText(text.data() + text.size(), &precheck.line), &precheck))
        return fail(*precheck.error);
    const json parsed = json::parse(text, nullptr, false);
    auto document = BW_TRY(read_document({&parsed, ""}));
    document.default_line = precheck.default_line;
    for (std::size_t i = 0; i < document.rules.size(); ++i) document.rules[i].line = precheck.rule_lines.at(i);
    return document;
}

}  // namespace bpfwarden::filter
