struct f { };
