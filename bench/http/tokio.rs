//! The server of http with Tokio's sockets, and as little of HTTP as knit.c has: a task per
//! connection.
use knitbench::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";
const HEAD_END: &[u8; 4] = b"\r\n\r\n";

async fn answer(mut conn: TcpStream) {
    let mut buf = [0; 2048];
    let mut have = 0;
    while have < buf.len() {
        match conn.read(&mut buf[have..]).await {
            Ok(0) | Err(_) => return,
            Ok(n) => have += n,
        }
        let mut from = 0;
        while let Some(end) = buf[from..have].windows(4).position(|w| w == HEAD_END) {
            from += end + HEAD_END.len();
            if conn.write_all(ANSWER).await.is_err() {
                return;
            }
        }
        buf.copy_within(from..have, 0);
        have -= from;
    }
}

fn main() {
    serve(answer);
}
