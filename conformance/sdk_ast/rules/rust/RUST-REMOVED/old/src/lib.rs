pub mod m { pub fn f() {} }
