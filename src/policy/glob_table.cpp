// SPDX-License-Identifier: Apache-2.0
#include "policy/glob_table.hpp"

#include <algorithm>
#include <deque>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "policy/pattern.hpp"

namespace bpfwarden::policy {

std::uint32_t GlobTable::intern(std::string_view glob) {
    const auto [at, fresh] = ids_.try_emplace(std::string(glob), static_cast<std::uint32_t>(texts_.size()));
    if (fresh) texts_.emplace_back(glob);
    return at->second;
}

std::uint32_t GlobTable::run(std::uint32_t row, std::string_view name) const {
    for (const char c : name) row = rows_[row][static_cast<unsigned char>(c)];
    return ends_[row];
}

namespace {

using Set = std::vector<std::uint32_t>;

// The globs' tokens in one row; a place is before a token, or behind the last of a glob.
class Places {
  public:
    explicit Places(const std::vector<std::string_view>& globs) {
        for (const auto glob : globs) {
            first_.push_back(static_cast<std::uint32_t>(tokens_.size()));
            for (auto& token : glob_tokens(glob)) tokens_.push_back(std::move(token));
            ends_.emplace_back(tokens_.size(), static_cast<std::uint32_t>(first_.size() - 1));
            tokens_.emplace_back();  // behind the last: takes nothing
        }
        sort_bytes();
    }

    Set start() const {
        Set set;
        for (const auto place : first_) add(place, set);
        return tidy(std::move(set));
    }
    Set next(const Set& from, unsigned char byte) const {
        Set set;
        for (const auto place : from) {
            if (tokens_[place].star)
                add(place, set);
            else if (tokens_[place].bytes[byte])
                add(place + 1, set);
        }
        return tidy(std::move(set));
    }
    // Which globs end here.
    Set matched(const Set& set) const {
        Set globs;
        for (const auto place : set) {
            const auto at = std::ranges::lower_bound(ends_, std::pair<std::size_t, std::uint32_t>(place, 0));
            if (at != ends_.end() && at->first == place) globs.push_back(at->second);
        }
        return globs;
    }
    // Bytes that no glob tells apart are of one kind; a byte of each.
    const std::array<std::uint8_t, 256>& kinds() const { return kinds_; }
    const std::vector<unsigned char>& samples() const { return samples_; }

  private:
    void add(std::uint32_t place, Set& set) const {
        set.push_back(place);
        while (tokens_[place].star) set.push_back(++place);
    }
    static Set tidy(Set set) {
        std::ranges::sort(set);
        const auto rest = std::ranges::unique(set);
        set.erase(rest.begin(), rest.end());
        return set;
    }
    void sort_bytes() {
        std::vector<unsigned> kind(256, 0);
        unsigned count = 1;
        for (const auto& token : tokens_) {
            if (token.star || token.bytes.none()) continue;
            std::map<std::pair<unsigned, bool>, unsigned> split;
            std::vector<unsigned> fresh(256);
            for (unsigned byte = 0; byte < 256; ++byte) {
                const auto key = std::pair(kind[byte], token.bytes[byte]);
                fresh[byte] = split.try_emplace(key, static_cast<unsigned>(split.size())).first->second;
            }
            count = static_cast<unsigned>(split.size());
            kind = std::move(fresh);
            if (count == 256) break;
        }
        samples_.resize(count);
        for (unsigned byte = 256; byte-- > 0;) {
            kinds_[byte] = static_cast<std::uint8_t>(kind[byte]);
            samples_[kind[byte]] = static_cast<unsigned char>(byte);
        }
    }

    std::vector<GlobToken> tokens_;
    std::vector<std::uint32_t> first_;
    std::vector<std::pair<std::size_t, std::uint32_t>> ends_;
    std::array<std::uint8_t, 256> kinds_{};
    std::vector<unsigned char> samples_;
};

// Places become states, and states that no name tells apart become one.
struct Deterministic {
    std::vector<std::vector<std::uint32_t>> next;  // [state][kind of byte]; state 0 is dead
    std::vector<std::uint32_t> end;                // [state]
    std::vector<Set> ends;                         // [end - 1]: the globs

    // False when there would be more than `most` states.
    bool build(const Places& places, std::size_t most) {
        std::map<Set, std::uint32_t> known{{{}, 0}};
        std::map<Set, std::uint32_t> end_numbers{{{}, 0}};
        std::deque<Set> waiting;
        next.emplace_back(places.samples().size(), 0);
        end.push_back(0);
        const auto number = [&](Set set) {
            const auto [at, fresh] = known.try_emplace(std::move(set), static_cast<std::uint32_t>(known.size()));
            if (fresh) {
                waiting.push_back(at->first);
                auto globs = places.matched(at->first);
                const auto [to, first] = end_numbers.try_emplace(globs, static_cast<std::uint32_t>(end_numbers.size()));
                if (first) ends.push_back(std::move(globs));
                end.push_back(to->second);
                next.emplace_back(places.samples().size(), 0);
            }
            return at->second;
        };
        number(places.start());
        for (std::uint32_t state = 1; !waiting.empty(); ++state) {
            const Set set = std::move(waiting.front());
            waiting.pop_front();
            for (std::size_t kind = 0; kind < places.samples().size(); ++kind) {
                const auto to = number(places.next(set, places.samples()[kind]));
                next[state][kind] = to;
            }
            if (known.size() > most) return false;
        }
        return true;
    }

    // The class of each state, numbered in the order of the states, so that class 0 is state 0's and class 1 the
    // start's.
    std::vector<std::uint32_t> classes() const {
        std::vector<std::uint32_t> now(next.size());
        std::size_t count = 0;
        for (std::size_t i = 0; i < now.size(); ++i) now[i] = end[i];
        while (true) {
            std::map<Set, std::uint32_t> signatures;
            std::vector<std::uint32_t> fresh(now.size());
            for (std::size_t i = 0; i < now.size(); ++i) {
                Set signature{now[i]};
                for (const auto to : next[i]) signature.push_back(now[to]);
                fresh[i] = signatures.try_emplace(std::move(signature), static_cast<std::uint32_t>(signatures.size()))
                               .first->second;
            }
            now = std::move(fresh);
            if (signatures.size() == count) return now;
            count = signatures.size();
        }
    }
};

}  // namespace

Result<const GlobTable::Machine*> GlobTable::machine(const std::vector<std::uint32_t>& globs) {
    if (const auto at = machines_.find(globs); at != machines_.end()) return &at->second;
    std::vector<std::string_view> texts;
    for (const auto glob : globs) texts.emplace_back(texts_[glob]);
    const Places places(texts);
    Deterministic states;
    // Minimising can only make them fewer, and never many times fewer for globs that people write.
    const bool built = states.build(places, 4 * most_rows);
    const auto classes = built ? states.classes() : std::vector<std::uint32_t>{};
    const std::size_t count = built ? std::ranges::max(classes) : 0;  // without class 0
    if (!built || rows_.size() + count > most_rows) {
        std::string some;
        for (std::size_t i = 0; i < texts.size() && i < 3; ++i) some += (i ? ", " : "") + quoted(texts[i]);
        return fail(Error(Code::bad_input, "the globs of this policy need too many tables")
                        .because(fmt::format("{} globs meet in one directory, among them {}; all together may take {} "
                                             "tables of a KiB",
                                             texts.size(), some, most_rows))
                        .advise("write names out, or fewer globs with several \"*\""));
    }
    Machine machine;
    const auto base = static_cast<std::uint32_t>(rows_.size());
    const auto row_of = [&](std::uint32_t state) { return classes[state] == 0 ? 0 : base + classes[state] - 1; };
    rows_.resize(rows_.size() + count);
    ends_.resize(ends_.size() + count);
    for (std::uint32_t state = 0; state < classes.size(); ++state) {
        if (classes[state] == 0) continue;
        auto& row = rows_[row_of(state)];
        for (unsigned byte = 0; byte < 256; ++byte) row[byte] = row_of(states.next[state][places.kinds()[byte]]);
        ends_[row_of(state)] = states.end[state];
    }
    machine.start = row_of(1);
    for (const auto& end : states.ends) {
        machine.ends.emplace_back();
        for (const auto index : end) machine.ends.back().push_back(globs[index]);
    }
    return &machines_.emplace(globs, std::move(machine)).first->second;
}

}  // namespace bpfwarden::policy
