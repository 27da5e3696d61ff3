// Clients of an echo server: they send lines of 64 bytes and wait for each to come back.
//   load PORT
// Does what it is told on standard input, and answers each with the seconds that it took:
//   open N     opens N connections, with one line on each, one after another
//   echo N     N lines on each connection of the last `open`, on all of them at once; those opened
//              before do nothing meanwhile
//   connect N  opens a connection, with one line on it, and closes it, N times
//   close      closes the connections of the last `open`
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) fail("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("connect");
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return fd;
}

const std::string line = std::string(63, 'x') + "\n";

void send_line(int fd) {
  if (write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) fail("write");
}

// False until the whole line is there.
bool receive_line(int fd, std::size_t& received) {
  char buffer[64];
  const ssize_t n = read(fd, buffer, line.size() - received);
  if (n <= 0) fail("read");
  received += static_cast<std::size_t>(n);
  if (received < line.size()) return false;
  received = 0;
  return true;
}

int open_connection(int port) {
  const int fd = connect_to(port);
  send_line(fd);
  for (std::size_t received = 0; !receive_line(fd, received);) {
  }
  return fd;
}

struct connection {
  int fd;
  int left;
  std::size_t received = 0;
};

void echo(const std::vector<int>& connections, int lines) {
  const int epoll = epoll_create1(0);
  std::vector<connection> all;
  for (const int fd : connections) all.push_back({fd, lines});
  for (connection& c : all) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &c}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event);
    send_line(c.fd);
  }
  epoll_event events[128];
  for (std::size_t busy = all.size(); busy > 0;) {
    const int n = epoll_wait(epoll, events, 128, -1);
    for (int i = 0; i < n; ++i) {
      auto& c = *static_cast<connection*>(events[i].data.ptr);
      if (!receive_line(c.fd, c.received)) continue;
      if (--c.left > 0) {
        send_line(c.fd);
      } else {
        --busy;
      }
    }
  }
  close(epoll);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const int port = std::atoi(argv[1]);
  std::vector<int> connections;
  std::string what;
  while (std::cin >> what) {
    int n = 0;
    if (what != "close") std::cin >> n;
    const auto start = std::chrono::steady_clock::now();
    if (what == "open") {
      connections.clear();
      while (n-- > 0) connections.push_back(open_connection(port));
    } else if (what == "echo") {
      echo(connections, n);
    } else if (what == "connect") {
      while (n-- > 0) close(open_connection(port));
    } else if (what == "close") {
      for (const int fd : connections) close(fd);
      connections.clear();
    } else {
      return 2;
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    std::cout << taken.count() << std::endl;
  }
}
