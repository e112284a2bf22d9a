//! The server of echo, accept and idle with Tokio: a task per connection.
use knitbench::{serve, SERVE_BUFFER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn echo(mut conn: TcpStream) {
    let mut buf = [0; SERVE_BUFFER];
    loop {
        match conn.read(&mut buf).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if conn.write_all(&buf[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn main() {
    serve(echo);
}
