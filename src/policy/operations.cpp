// SPDX-License-Identifier: Apache-2.0
#include "policy/operations.hpp"

#include <sys/socket.h>

#include <algorithm>

#include <fmt/format.h>

#include "kernel/capability.hpp"

namespace bpfwarden::policy {

static constexpr OperationInfo operations[] = {
    {"read", BW_OP_READ, Object::path},
    {"write", BW_OP_WRITE, Object::path},
    {"append", BW_OP_APPEND, Object::path},
    {"truncate", BW_OP_TRUNCATE, Object::path},
    {"create", BW_OP_CREATE, Object::path},
    {"mkdir", BW_OP_MKDIR, Object::path},
    {"mknod", BW_OP_MKNOD, Object::path},
    {"symlink", BW_OP_SYMLINK, Object::path},
    {"delete", BW_OP_DELETE, Object::path},
    {"rename", BW_OP_RENAME, Object::path},
    {"link", BW_OP_LINK, Object::path},
    {"chmod", BW_OP_CHMOD, Object::path},
    {"chown", BW_OP_CHOWN, Object::path},
    {"setxattr", BW_OP_SETXATTR, Object::path},
    {"exec", BW_OP_EXEC, Object::path},
    {"map_exec", BW_OP_MAP_EXEC, Object::path},
    {"mount", BW_OP_MOUNT, Object::path},
    {"umount", BW_OP_UMOUNT, Object::path},
    {"pivot_root", BW_OP_PIVOT_ROOT, Object::path},
    {"chroot", BW_OP_CHROOT, Object::path},
    {"socket", BW_OP_SOCKET, Object::address},
    {"bind", BW_OP_BIND, Object::address},
    {"connect", BW_OP_CONNECT, Object::address},
    {"listen", BW_OP_LISTEN, Object::address},
    {"accept", BW_OP_ACCEPT, Object::address},
    {"ptrace", BW_OP_PTRACE, Object::domain},
    {"read_memory", BW_OP_READ_MEMORY, Object::domain},
    {"signal", BW_OP_SIGNAL, Object::domain},
    {"capable", BW_OP_CAPABLE, Object::capability},
    {"bpf", BW_OP_BPF, Object::none},
    {"perf", BW_OP_PERF, Object::none},
    {"module", BW_OP_MODULE, Object::none},
    {"userns", BW_OP_USERNS, Object::none},
    {"io_uring", BW_OP_IO_URING, Object::none},
    {"map_anon_exec", BW_OP_MAP_ANON_EXEC, Object::none},
};

static constexpr Group groups[] = {
    {"read", BW_OP_READ | BW_OP_EXEC | BW_OP_MAP_EXEC},
    {"write", BW_OP_WRITE | BW_OP_APPEND | BW_OP_TRUNCATE | BW_OP_CREATE | BW_OP_MKDIR | BW_OP_MKNOD | BW_OP_SYMLINK |
                  BW_OP_DELETE | BW_OP_RENAME | BW_OP_LINK | BW_OP_CHMOD | BW_OP_CHOWN | BW_OP_SETXATTR},
    {"mount", BW_OP_MOUNT | BW_OP_UMOUNT | BW_OP_PIVOT_ROOT},
    {"net", BW_OPS_ADDRESS},
};

std::string_view keys_of(Object object) {
    static constexpr std::string_view keys[] = {"paths, file_systems, identities or labels", "net", "peers",
                                                "capabilities", "none of these"};
    return keys[static_cast<std::size_t>(object)];
}

std::span<const OperationInfo> all_operations() { return operations; }
std::span<const Group> all_groups() { return groups; }

std::optional<Operations> operation_bit(std::string_view name) {
    const auto at = std::ranges::find(operations, name, &OperationInfo::name);
    return at == std::end(operations) ? std::nullopt : std::optional(at->bit);
}

Operations operations_on(Object object) {
    Operations ops = 0;
    for (const auto& one : operations)
        if (one.object == object) ops |= one.bit;
    return ops;
}

Object object_of(Operations bit) {
    const auto at = std::ranges::find(operations, bit, &OperationInfo::bit);
    return at == std::end(operations) ? Object::none : at->object;
}

std::string names_of(Operations ops, std::string_view separator) {
    std::vector<std::string_view> names;
    for (const auto& one : operations)
        if (ops & one.bit) names.push_back(one.name);
    return fmt::format("{}", fmt::join(names, separator));
}

std::optional<unsigned> capability_bit(std::string_view name) {
    const auto number = kernel::capability_number(name);
    return number && *number < 64 ? number : std::nullopt;
}

std::vector<std::string> capability_names() {
    std::vector<std::string> names;
    for (unsigned i = 0; i < 64; ++i) {
        auto name = kernel::capability_name(i);
        if (kernel::capability_number(name) != i || (!name.empty() && name[0] >= '0' && name[0] <= '9')) break;
        names.push_back(std::move(name));
    }
    return names;
}

std::span<const Family> all_families() {
    static constexpr Family families[] = {
        {"unix", AF_UNIX},
        {"inet", AF_INET},
        {"ax25", AF_AX25},
        {"ipx", AF_IPX},
        {"appletalk", AF_APPLETALK},
        {"x25", AF_X25},
        {"inet6", AF_INET6},
        {"netlink", AF_NETLINK},
        {"packet", AF_PACKET},
        {"rds", AF_RDS},
        {"ppp", AF_PPPOX},
        {"can", AF_CAN},
        {"tipc", AF_TIPC},
        {"bluetooth", AF_BLUETOOTH},
        {"rxrpc", AF_RXRPC},
        {"phonet", AF_PHONET},
        {"alg", AF_ALG},
        {"nfc", AF_NFC},
        {"vsock", AF_VSOCK},
        {"kcm", AF_KCM},
        {"qipcrtr", AF_QIPCRTR},
        {"smc", AF_SMC},
        {"xdp", AF_XDP},
        {"mctp", 45},
    };
    return families;
}

std::string family_name(std::uint16_t number) {
    const auto at = std::ranges::find(all_families(), number, &Family::number);
    return at == all_families().end() ? fmt::format("family {}", number) : std::string(at->name);
}

}  // namespace bpfwarden::policy
