"""The mapping of the order lines of a real shop (Online Retail), written by hand."""

MAPPING = {
    "id": "InvoiceNo",
    "date": "InvoiceDate",
    "timeZone": {"value": "Europe/London"},
    "status": {"column": "InvoiceNo", "map": {"C*": "canceled"}, "default": "completed"},
    "currency": {"value": "GBP"},
    "totalValue": {"sum": ["UnitPrice", "Quantity"]},
    "customer.crmId": "CustomerID",
    "products": {"id": "StockCode", "name": "Description", "price": "UnitPrice", "quantity": "Quantity"},
}
