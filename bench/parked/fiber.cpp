/* parked with Boost.Fiber: SIZE fibers wait on one channel. Stacks of 16 KiB without guard pages
 * from one mapping, reused last in first out: its own stack allocators stop at vm.max_map_count
 * (guarded, or of the default 128 KiB) or touch a second page of each stack (malloc). Output as
 * knit.c. */
#include "../lib/fiber.hpp"

#include <atomic>
#include <chrono>

#include <sys/mman.h>

class stack_pool
{
  public:
    static constexpr std::size_t stack_size = 16384;

    explicit stack_pool(std::size_t stacks)
    {
        void *base = mmap(nullptr, stacks * stack_size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED)
            bench_die("mmap of the stacks", long(stacks));
        free_tops.reserve(stacks);
        for (std::size_t i = stacks; i > 0; i--)
            free_tops.push_back(static_cast<char *>(base) + i * stack_size);
    }

    void *get()
    {
        const std::lock_guard<std::mutex> held(lock);
        if (free_tops.empty())
            bench_die("out of stacks", 0);
        void *top = free_tops.back();
        free_tops.pop_back();
        return top;
    }

    void put(void *top)
    {
        const std::lock_guard<std::mutex> held(lock);
        free_tops.push_back(top);
    }

  private:
    std::mutex lock;
    std::vector<void *> free_tops;
};

/* A stack allocator as Boost.Context wants it. */
struct pooled_stack {
    stack_pool *pool;

    boost::context::stack_context allocate()
    {
        boost::context::stack_context context;
        context.sp = pool->get();
        context.size = stack_pool::stack_size;
        return context;
    }

    void deallocate(boost::context::stack_context &context) noexcept
    {
        pool->put(context.sp);
    }
};

struct costs {
    double bytes;
    double create;
    double wake;
};

static costs park_round(stack_pool &pool, long n)
{
    boost::fibers::buffered_channel<char> gate(2);
    std::atomic<long> arrived(0);
    std::atomic<long> left(n);
    const int64_t before = bench_rss();
    const int64_t start = bench_now();
    for (long i = 0; i < n; i++) {
        boost::fibers::fiber(std::allocator_arg, pooled_stack{&pool}, [&] {
            char item;
            arrived++;
            gate.pop(item);
            left--;
        }).detach();
    }
    while (arrived < n)
        boost::this_fiber::yield();
    const int64_t created = bench_now();
    const int64_t after = bench_rss();
    const int64_t closing = bench_now();
    gate.close();
    while (left > 0)
        boost::this_fiber::yield();
    const int64_t ended = bench_now();
    /* The fiber that reaps the ended ones runs when this one waits. */
    boost::this_fiber::sleep_for(std::chrono::milliseconds(10));
    return {double(after - before) / double(n), double(created - start) / double(n),
            double(ended - closing) / double(n)};
}

int main(int argc, char **argv)
{
    const bench_args args = bench_parse(argc, argv);
    /* Static: some fibers are reaped after main. */
    static stack_pool pool(static_cast<std::size_t>(args.size) + 64);
    fiber_run(args.threads, [&] {
        park_round(pool, 10);
        const costs fresh = park_round(pool, args.size);
        const costs again = park_round(pool, args.size);
        printf("%.1f create=%.1f recycled=%.1f wake=%.1f\n", fresh.bytes, fresh.create,
               again.create, again.wake);
    });
    return 0;
}
