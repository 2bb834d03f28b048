// SPDX-License-Identifier: Apache-2.0
// Seccomp filters at run time for C++20 and C++23: the functions of filter.h, with owners and results. Header only, no
// exceptions.
//
//     auto filter = bpfw::Filter::build_file("filter.bpf.o");
//     if (!filter) return report(filter.error().text);
//     if (auto installed = filter->install(); !installed) return report(installed.error().text);
//
// Errors, privilege and kernel floor of each function are those of the C function that it names.
#ifndef BPFWARDEN_FILTER_HPP
#define BPFWARDEN_FILTER_HPP

#include <bpfwarden/filter.h>
#include <bpfwarden/bpfwarden.hpp>

#include <map>
#include <span>

namespace bpfw {

#if defined(__cpp_lib_expected)
inline namespace with_expected {
#else
inline namespace without_expected {
#endif

// struct bpfw_filter_options. What is empty or 0 is as usual; name those that are not: {.kernel = "6.12"}.
struct FilterOptions {
    std::vector<std::string> architectures{};  // "x86_64"
    std::string kernel{}, oldest_kernel{};     // "6.12"
    std::string bad_arch{};                    // "ERRNO(ENOSYS)"
    std::uint32_t objective = BPFW_FILTER_USUAL;
    std::uint32_t effort = BPFW_FILTER_NORMAL;
    bool require_proof = false;
    std::uint32_t same_argument = BPFW_FILTER_ALL_HOLD;
    std::uint32_t no_rule = BPFW_FILTER_NO_RULE_DEFAULT;
    std::map<std::string, std::vector<std::uint64_t>> sets{};
    std::vector<std::string> capabilities{};  // "CAP_SYS_ADMIN"
};

enum class FilterAnswer {
    same = BPFW_FILTER_SAME,
    different = BPFW_FILTER_DIFFERENT,
    undecided = BPFW_FILTER_UNDECIDED
};

struct FilterComparison {
    FilterAnswer answer = FilterAnswer::undecided;
    bpfw_filter_difference example{};  // where they differ
};

// May be used from several threads at once, except to move or end it.
class Filter {
  public:
    // bpfw_filter_build()
    static Result<Filter> build(std::span<const std::byte> source, const FilterOptions& options = {}) {
        return with(options, [&](const auto& c) { return bpfw_filter_build(source.data(), source.size(), &c); });
    }
    // bpfw_filter_build_file()
    static Result<Filter> build_file(const std::string& path, const FilterOptions& options = {}) {
        return with(options, [&](const auto& c) { return bpfw_filter_build_file(path.c_str(), &c); });
    }

    // From the C functions: owned from then on.
    explicit Filter(bpfw_filter* filter) noexcept : filter_(filter) {}
    Filter(Filter&& other) noexcept : filter_(std::exchange(other.filter_, nullptr)) {}
    Filter& operator=(Filter&& other) noexcept {
        if (this != &other) {
            bpfw_filter_free(filter_);
            filter_ = std::exchange(other.filter_, nullptr);
        }
        return *this;
    }
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;
    ~Filter() { bpfw_filter_free(filter_); }

    bpfw_filter* get() const noexcept { return filter_; }
    [[nodiscard]] bpfw_filter* release() noexcept { return std::exchange(filter_, nullptr); }

    // bpfw_filter_program(): lives as long as this.
    std::span<const sock_filter> program() const noexcept {
        std::size_t count = 0;
        const auto* first = bpfw_filter_program(filter_, &count);
        return {first, count};
    }
    // bpfw_filter_warnings()
    std::string warnings() const { return bpfw_filter_warnings(filter_); }
    // bpfw_filter_proven()
    bool proven() const noexcept { return bpfw_filter_proven(filter_) != 0; }
    // bpfw_filter_flags()
    unsigned flags() const noexcept { return bpfw_filter_flags(filter_); }

    // bpfw_filter_install(): the listener, or no fd if none was asked for.
    Result<Fd> install(unsigned flags = 0) const {
        const int result = bpfw_filter_install(filter_, flags);
        if (result < 0) return last_failure();
        return (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0 ? Fd(result) : Fd();
    }
    // bpfw_filter_compare()
    Result<FilterComparison> compare(const Filter& other) const {
        FilterComparison comparison;
        const int answer = bpfw_filter_compare(filter_, other.filter_, &comparison.example);
        if (answer < 0) return last_failure();
        comparison.answer = static_cast<FilterAnswer>(answer);
        return comparison;
    }

  private:
    static std::vector<const char*> texts_of(const std::vector<std::string>& from) {
        std::vector<const char*> texts;
        for (const auto& text : from) texts.push_back(text.c_str());
        texts.push_back(nullptr);
        return texts;
    }
    // The options in C's form, as long as `call` runs.
    template <class Call>
    static Result<Filter> with(const FilterOptions& options, Call call) {
        const auto architectures = texts_of(options.architectures), capabilities = texts_of(options.capabilities);
        std::vector<bpfw_filter_set> sets;
        for (const auto& [name, numbers] : options.sets) sets.push_back({name.c_str(), numbers.data(), numbers.size()});
        const auto or_null = [](const std::string& text) { return text.empty() ? nullptr : text.c_str(); };
        bpfw_filter_options c{};
        c.size = sizeof c;
        c.architectures = architectures.data();
        c.kernel = or_null(options.kernel);
        c.oldest_kernel = or_null(options.oldest_kernel);
        c.bad_arch = or_null(options.bad_arch);
        c.objective = options.objective;
        c.effort = options.effort;
        c.require_proof = options.require_proof ? 1 : 0;
        c.same_argument = options.same_argument;
        c.no_rule = options.no_rule;
        c.sets = sets.data();
        c.set_count = sets.size();
        c.capabilities = capabilities.data();
        bpfw_filter* filter = call(c);
        if (filter == nullptr) return last_failure();
        return Filter(filter);
    }
    bpfw_filter* filter_ = nullptr;
};

}  // namespace with_expected, or without_expected
}  // namespace bpfw

#endif
