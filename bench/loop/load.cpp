// Sends lines of 64 bytes on many connections at once and waits for each to come back.
//   load PORT CONNECTIONS REQUESTS [IDLE]    REQUESTS on each of the connections
//   load PORT connect COUNT                  connects, sends one line, closes; one after another
// IDLE more connections are made first and do nothing. Prints the seconds that it took.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
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

void echo(int port, int connections, int requests) {
  struct connection {
    int fd;
    int left;
    std::size_t received = 0;
  };
  const int epoll = epoll_create1(0);
  std::vector<connection> all;
  for (int i = 0; i < connections; ++i) all.push_back({connect_to(port), requests});
  for (connection& c : all) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &c}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event);
    send_line(c.fd);
  }
  epoll_event events[128];
  for (int open = connections; open > 0;) {
    const int n = epoll_wait(epoll, events, 128, -1);
    for (int i = 0; i < n; ++i) {
      auto& c = *static_cast<connection*>(events[i].data.ptr);
      if (!receive_line(c.fd, c.received)) continue;
      if (--c.left > 0) {
        send_line(c.fd);
      } else {
        close(c.fd);
        --open;
      }
    }
  }
}

void reconnect(int port, int count) {
  for (int i = 0; i < count; ++i) {
    const int fd = connect_to(port);
    send_line(fd);
    for (std::size_t received = 0; !receive_line(fd, received);) {
    }
    close(fd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int port = std::atoi(argv[1]);
  std::vector<int> idle;
  for (int i = argc > 4 ? std::atoi(argv[4]) : 0; i > 0; --i) idle.push_back(connect_to(port));
  const auto start = std::chrono::steady_clock::now();
  if (std::string(argv[2]) == "connect") {
    reconnect(port, std::atoi(argv[3]));
  } else {
    echo(port, std::atoi(argv[2]), std::atoi(argv[3]));
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  std::printf("%.6f\n", taken.count());
}
