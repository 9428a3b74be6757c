pub mod m {}
